"""The gate before anything long: what is odd goes to the log and on to the report."""

import logging

from normscan.cohorts.gate import pass_gate
from normscan.files import read_json


def test_warnings_of_folders_and_of_files_are_said_and_kept(tmp_path, caplog):
    reports = {"a": [{"scan": "sub-1", "problems": [], "warnings": ["sub-1: looks like noise"]}]}
    odd = {"a": ["sub-2: its folder has no image that is used"], "other": ["sub-9: x"]}
    with caplog.at_level(logging.WARNING):
        pass_gate(str(tmp_path / "checked.json"), reports, [], "stop", {}, odd)
    expected = ["sub-2: its folder has no image that is used", "sub-1: looks like noise"]
    assert read_json(tmp_path / "checked.json")["warnings"] == {"a": expected}
    assert [one.getMessage() for one in caplog.records] == [f"cohort 'a': {x}" for x in expected]
