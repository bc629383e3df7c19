"""Every block of YAML in the documentation is planned, as a part of a reader's files."""

import re

import pytest
import yaml
from made_copies import ROOT, blocks
from made_examples import ELSEWHERE, LACKS, examples, files, kind, pages, planned

from normscan.cohorts.layouts import layout_names, read_layout
from normscan.errors import NormscanError

HERE = [one for one in examples() if one not in ELSEWHERE]


@pytest.mark.parametrize(("page", "number"), HERE)
def test_examples_are_planned(tmp_path, page, number):
    example = yaml.safe_load(blocks(page, "yaml")[number])
    study = planned(page, number, tmp_path)
    assert set(example.get("protocols", ())) <= set(study.protocols)
    for name, entry in (example.get("cohorts") or {}).items():
        assert study.cohorts[name].scans
        assert study.cohorts[name].role == entry.get("role", study.cohorts[name].role)


@pytest.mark.parametrize(
    ("page", "number", "keys"),
    [
        ("docs/outputs.md", 0, ["report"]),
        ("docs/outputs.md", 2, ["volumes", "maps"]),
        (
            "docs/recommended.md",
            0,
            ["overrides", "recommended", "models", "blob_denoising", "steps"],
        ),
        ("docs/selection.md", 0, ["cohorts", "bright", "synthetic", "masks"]),
        ("docs/selection.md", 1, ["threshold_rules", 1, "conformal", "rate"]),
        ("docs/intensities.md", 0, ["preprocessing", 2, "normalise", "level"]),
        ("docs/training-sets.md", 0, ["training", "streams", "patients", "slices"]),
        ("docs/screening.md", 1, ["cohorts", "clinic", "series"]),
    ],
)
def test_a_key_that_there_is_not_is_found(tmp_path, page, number, keys):
    example = yaml.safe_load(blocks(page, "yaml")[number])
    place = example
    for key in keys[:-1]:
        place = place[key]
    place[f"{keys[-1]}x"] = place.pop(keys[-1])
    with pytest.raises(NormscanError):
        planned(page, number, tmp_path, example)


def test_blocks_that_are_named_are_there():
    assert {*ELSEWHERE, *LACKS} <= set(examples())
    for (page, number), test in ELSEWHERE.items():
        module = ROOT / f"tests/unit/workflow/{test.partition(':')[0]}.py"
        assert page in module.read_text(), f"{module} does not read {page}, block {number}"


def test_no_key_is_of_both_kinds_of_files():
    assert kind({"cohorts": {}}) == "config" and kind({"models": {}}) == "protocol"
    with pytest.raises(NormscanError):
        kind({"cohorts": {}, "models": {}})


def test_all_layouts_can_be_put_down(tmp_path):
    for source in layout_names():
        assert len(set(files(source, 1))) == len(read_layout(source)["patterns"])


@pytest.mark.parametrize("page", pages())
def test_no_block_is_of_a_language_that_no_test_reads(page):
    """A block of ``yml`` would be tested nowhere."""
    found = re.findall(r"^ *```(\w*)\n", (ROOT / page).read_text(), re.MULTILINE)
    assert {one for one in found if one} <= {"yaml", "python", "bash", "text"}
