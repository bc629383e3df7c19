"""What screening pages say of a scan's place, and what they say where a bundle does not know."""

import pytest

from normscan.report.unusual import UNKNOWN, bundle_facts, place, place_facts

HEALTHY = [0.0, 0.5, 0.5, 2.0]


def facts(volume: float, **bundle) -> tuple[str, str]:
    content = {"bundle": {"digest": "d", "format": 2, **bundle}}
    return place_facts(content, place(content, volume))[1]


@pytest.mark.parametrize(("volume", "said"), [(0.0, ("0", 0)), (0.5, ("25", 1)), (3.0, ("100", 4))])
def test_a_percentile_is_the_share_of_healthy_scans_with_less(volume, said):
    percentile, below = said
    expected = (percentile, f"percentile: {below} of 4 held-out healthy scans have less")
    assert facts(volume, healthy_ml=HEALTHY) == expected


def test_what_is_not_known_is_said_with_its_reason():
    none = {"healthy_ml": None}
    assert facts(1.0, **none)[1].endswith("not known: no healthy scan was held out")
    assert facts(1.0, format=1, **none)[1].endswith(UNKNOWN)
    content = {"per": "slice", "bundle": {"digest": "d", "format": 2, **none}}
    said = place_facts(content, place(content, 1.0))
    assert said[0] == ("1.00 ml", "above the threshold")
    assert said[1][1].endswith("the rule splits each slice by itself")


def test_bundles_of_before_do_not_say_what_they_were_trained_on():
    told = bundle_facts({"bundle": {"digest": "d", "format": 1, "trained_on": None}})
    assert told == {"bundle": "d, format 1", "trained on": UNKNOWN}
    none = {"contrasts": [], "cohorts": {}}
    told = bundle_facts({"bundle": {"digest": "d", "format": 2, "trained_on": none}})
    assert told["trained on"] == "nothing: it has no model"
