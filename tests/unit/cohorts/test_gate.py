"""The gate before anything long: what is odd goes to the log and on to the report."""

import logging

import pytest
from handed_on import run

from normscan.cohorts.gate import pass_gate
from normscan.files import read_json, write_json


def test_warnings_of_folders_and_of_files_are_said_and_kept(tmp_path, caplog):
    reports = {"a": [{"scan": "sub-1", "problems": [], "warnings": ["sub-1: looks like noise"]}]}
    odd = {"a": ["sub-2: its folder has no image that is used"], "other": ["sub-9: x"]}
    with caplog.at_level(logging.WARNING):
        pass_gate(str(tmp_path / "checked.json"), reports, [], "stop", {}, odd)
    expected = ["sub-2: its folder has no image that is used", "sub-1: looks like noise"]
    assert read_json(tmp_path / "checked.json")["warnings"] == {"a": expected}
    assert [one.getMessage() for one in caplog.records] == [f"cohort 'a': {x}" for x in expected]


@pytest.mark.parametrize("script", ["check_cohorts.py", "check_screened_cohort.py"])
def test_an_atlas_that_is_not_there_is_a_problem_before_anything_long(tmp_path, caplog, script):
    report = tmp_path / "00.json"
    write_json(report, {"cohort": "a", "role": "healthy", "reports": []})
    output = tmp_path / "checked.json"
    given = {
        "input": {"reports": [report], "others": []}, "output": [output],
        "wildcards": {"cohort": "a"},
    }  # fmt: skip
    params = {
        "on_bad_scan": "exclude", "excluded": {}, "odd": {}, "atlases": {},
        "needed_atlases": ["robex", "own"],
    }  # fmt: skip
    with pytest.raises(SystemExit):
        run(script, params=params, **given)
    assert "1 problem; nothing was started" in caplog.text and "'own'" in caplog.text
    assert not output.exists()
    run(script, params={**params, "needed_atlases": ["robex"]}, **given)
    assert output.exists()
