"""Heads under a protocol that strips no skull are refused when the run is planned."""

import pytest
from made_studies import load, protocol

from normscan.errors import ConfigError

HEADS = {"ixi": {"skull_stripped": False}, "new": {"skull_stripped": False}}


def test_heads_that_no_step_strips_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, protocol(), changes=HEADS)
    (line,) = str(error.value).splitlines()[1:]
    assert "protocol 'p0'.preprocessing: no step strips skulls, and 'ixi', 'new' may show" in line
    assert "add 'strip_skull: {}'" in line and "set skull_stripped: true" in line


@pytest.mark.parametrize("step", ["strip_skull", "find_body"])
def test_a_step_that_takes_the_skull_off_is_enough(tmp_path, step):
    steps = [{"register": {}}, {step: {}}]
    assert load(tmp_path, protocol(preprocessing=steps), changes=HEADS)


def test_cohorts_that_a_protocol_has_no_use_for_do_not_count(tmp_path):
    own = protocol(evaluation={"cohorts": ["ms"]})
    assert load(tmp_path, own, changes={"gliomas": {"skull_stripped": False}})
