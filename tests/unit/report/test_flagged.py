"""Marks of flagged scans beside the results that they touch."""

import pytest

from normscan.files import write_json
from normscan.report.flagged import left_out, read_flags, with_flags, with_marks

PROTOCOLS = {
    "p": {
        "used": ["ixi", "ms", "wmh"],
        "cohorts": ["ms", "wmh"],
        "streams": {"main": {"cohorts": ["ixi"]}},
    },
    "q": {"used": ["ixi", "ms"], "cohorts": ["ms"], "streams": {"main": {"cohorts": ["ixi"]}}},
}


@pytest.fixture
def flags(tmp_path):
    said = [
        ("p", "ms", {"sub-1": "scale 2.3 is above 2"}),
        ("q", "ms", {"sub-1": "scale 2.3 is above 2"}),
        ("p", "ixi", {f"sub-{number}": "cut off" for number in range(5)}),
        ("p", "wmh", {}),
    ]
    for number, (protocol, cohort, scans) in enumerate(said):
        flagged = [{"scan": scan, "reason": reason} for scan, reason in scans.items()]
        about = {"protocol": protocol, "cohort": cohort, "flagged": flagged}
        write_json(tmp_path / f"{number}.json", about)
    return read_flags(str(tmp_path / f"{number}.json") for number in range(4))


def test_boards_name_their_own_scans_and_those_of_training(flags):
    boards = [{"cohort": "ms", "protocol": "p"}, {"cohort": "wmh", "protocol": "p"}]
    ms, wmh = with_marks(boards, flags, PROTOCOLS, "continue")
    assert ms["flagged"] == [
        "Flagged by quality control, and used all the same: 1 scan of this cohort (sub-1: scale "
        "2.3 is above 2); 5 scans of those that models and thresholds come from (ixi/sub-0: cut "
        "off; ixi/sub-1: cut off; ixi/sub-2: cut off; 2 more)."
    ]
    assert "of this cohort" not in wmh["flagged"][0]
    streams = {"main": {"cohorts": ["ixi"]}, "lesion_free": {"cohorts": ["ms"]}}
    taught = {"p": {**PROTOCOLS["p"], "streams": streams}}
    (wmh,) = with_marks(boards[1:], flags, taught, "continue")
    assert "6 scans of those that models" in wmh["flagged"][0], "a patient that was trained on"
    (ms,) = with_marks(boards[:1], flags, PROTOCOLS, "exclude")
    assert "and left out: 1 scan of this cohort" in ms["flagged"][0]


def test_a_combined_board_says_of_which_protocol(flags):
    (board,) = with_marks([{"cohort": "ms", "protocol": ""}], flags, PROTOCOLS, "continue")
    assert [one.partition(":")[0] for one in board["flagged"]] == ["p", "q"]


def test_nothing_is_said_where_nothing_is_flagged():
    (board,) = with_marks([{"cohort": "ms", "protocol": "q"}], {}, PROTOCOLS, "continue")
    assert board["flagged"] == []


def test_scans_that_were_left_out_are_told_once_with_their_protocols(flags):
    assert left_out(flags, "ms") == [
        {"scan": "sub-1", "reason": "quality control, protocol p and q: scale 2.3 is above 2"}
    ]


@pytest.mark.parametrize(("on_flagged", "scans"), [("continue", ["sub-0"]), ("exclude", None)])
def test_only_what_was_left_out_is_among_the_excluded(flags, on_flagged, scans):
    before = [{"scan": "sub-0", "reason": "truncated"}]
    content = {"leaderboards": [], "cohorts": [{"name": "ixi", "excluded": before}], "title": "t"}
    record = {"protocols": PROTOCOLS, "on_flagged": on_flagged}
    found = with_flags(content, flags, record)
    (cohort,) = found["cohorts"]
    expected = scans or [f"sub-{number}" for number in range(5)]
    assert [one["scan"] for one in cohort["excluded"]] == expected
    assert cohort["excluded"][0] == before[0] and found["title"] == "t"
