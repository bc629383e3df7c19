"""Settings are checked against what a plug-in allows, all at once, before anything runs."""

import math
from pathlib import Path

import pytest

import normscan
from normscan.allowed import in_words, is_allowed, parse_range
from normscan.plugins import complete_settings, literals, plugin_names

LIBRARY = Path(normscan.__file__).parent
ROOMS = {"models": "CAPABILITIES", "detectors": "NEEDS", "preprocessing": "SETTINGS"}
PLUGINS = [
    LIBRARY / room / f"{name}.py"
    for room, constant in ROOMS.items()
    for name in plugin_names(LIBRARY / room, constant)
] + [LIBRARY / "slices" / "pack.py"]
# What these may be stands in another room, or in config.yaml.
ELSEWHERE = {"network", "bottleneck", "atlas"}


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        ("1..", [1, 1.5, 10**9], [0, 0.99, -1, math.inf, math.nan, True, "1", None, [1]]),
        (">0..", [1e-9, 3], [0, -1e-9]),
        ("..<2.5", [-7, 2.49], [2.5, 3]),
        ("0..<1", [0, 0.999], [1, 1.0, -0.1]),
        ("-1..1", [-1, 0, 1], [-1.01, 1.01]),
        ("1e-3..1", [0.001, 1], [0.0009]),
        ("whole 1..", [1, 16], [0, 1.5, 1.0]),
        (["bright", "dark"], ["dark"], ["darker", "", 1, None]),
        (["auto", "0.."], ["auto", 0, 2.4], ["0..", "automatic", -1]),
        ("each 0..", [[0], [0.0, 3.6]], [[], [1, -1], 1, "1", [None]]),
        ({"T1w": ">0..", "PD": "0.."}, [{}, {"T1w": 1, "PD": 0}], [{"T1w": 0}, {"X": 1}, 1, []]),
    ],
)
def test_what_is_allowed(allowed, inside, outside):
    assert all(is_allowed(one, allowed) for one in inside)
    assert not any(is_allowed(one, allowed) for one in outside)


@pytest.mark.parametrize("text", ["1", "1..0", ">..1", "0..<", "a..b", "", "each 0.."])
def test_a_range_that_is_none_is_an_error_of_its_plugin(text):
    with pytest.raises(ValueError):
        parse_range(text)


@pytest.mark.parametrize(
    ("value", "allowed", "expected"),
    [
        (0, "1..", "; must be a number of at least 1"),
        (2, ">0..<1", "; must be a number above 0 and below 1"),
        (0.5, "whole 1..", "; must be a whole number of at least 1"),
        ("birght", ["bright", "dark"], " (did you mean 'bright'?); allowed: bright, dark"),
        (-1, ["auto", "0.."], "; must be 'auto' or a number of at least 0"),
        ([], "each 0..", "; must be a list of at least one, each a number of at least 0"),
        (1, {"T1w": ">0.."}, "; must be a mapping of any of {T1w: a number above 0}"),
    ],
)
def test_what_is_said(value, allowed, expected):
    assert in_words(value, allowed) == expected


def test_all_problems_of_a_table_come_at_once():
    defaults = {"steps": 5, "rate": None, "mode": "auto", "size": 0.1}
    allowed = {"steps": "1..", "rate": "0..<1", "mode": ["auto", "0.."], "size": ">0.."}
    given = {"steps": 0, "rate": 1, "mode": "fast", "size": None, "stepps": 3}
    settings, problems = complete_settings(given, defaults, allowed, "models.x")
    assert sorted(line.split(":")[0] for line in problems) == [
        "models.x.mode",
        "models.x.rate",
        "models.x.size",
        "models.x.stepps",
        "models.x.steps",
    ]
    assert "models.x.steps: found 0; must be a number of at least 1" in problems
    assert settings["steps"] == 0 and "stepps" not in settings
    assert complete_settings({"rate": None}, defaults, allowed, "x")[1] == []
    assert complete_settings({"mode": 2}, defaults, allowed, "x")[1] == []
    # The type is that of the default even where a number is in the range.
    (line,) = complete_settings({"steps": 1.5}, defaults, allowed, "x")[1]
    assert "type int" in line


def test_a_default_that_does_not_fit_here_is_named_as_such():
    _, problems = complete_settings({}, {"contrast": "FLAIR"}, {"contrast": ["T1w"]}, "x")
    assert problems == ["x.contrast: found 'FLAIR' (the default); allowed: T1w"]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_defaults_are_allowed_and_every_number_and_word_has_its_range(path):
    declared = literals(path)
    settings, allowed = declared["SETTINGS"], declared.get("ALLOWED", {})
    assert set(allowed) <= set(settings)
    contrasts = {name: ["FLAIR"] for name, one in allowed.items() if one == "a contrast"}
    assert complete_settings({}, settings, allowed | contrasts, "x")[1] == []
    open_ended = {name for name, value in settings.items() if not isinstance(value, bool)}
    # A path or a scan, which the workflow looks for.
    open_ended -= {"reference"} if path.stem == "match_histogram" else set()
    assert open_ended - ELSEWHERE == set(allowed)


def test_threshold_rules_have_ranges():
    declared = literals(LIBRARY / "postprocessing" / "thresholds.py")
    for name, settings in declared["RULES"].items():
        allowed = declared["ALLOWED"].get(name, {})
        needed = {key for key, value in settings.items() if value is not None}
        # What may be left out (`exceeding: null`) may have a range as well.
        assert needed <= set(allowed) <= set(settings)
        assert complete_settings({}, settings, allowed, "x")[1] == []
