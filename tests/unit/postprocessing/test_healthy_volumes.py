"""Volumes of held-out healthy scans above thresholds, against counts of their maps."""

import numpy as np
import pytest

from normscan.postprocessing.healthy_volumes import healthy_volumes, place_among
from normscan.postprocessing.histograms import ScoreHistogram, bin_edges, save_histograms

EDGE = float(bin_edges()[30000])


@pytest.fixture
def maps(tmp_path):
    """Filtered maps of three healthy scans; files of their histograms, and one of patients."""
    random = np.random.default_rng(0)
    maps = {f"sub-{n}": random.gamma(1 + n, EDGE, (8, 8, 4)).astype(np.float32) for n in range(3)}
    none, everywhere = np.zeros((8, 8, 4), bool), np.ones((8, 8, 4), bool)
    made = {name: ScoreHistogram.of(one, none, everywhere) for name, one in maps.items()}
    for cohort, prior in (("ixi", "none"), ("ixi", "hyperintense"), ("ms", "none")):
        path = tmp_path / f"{cohort}-{prior}.npz"
        about = {"cohort": np.array(cohort), "prior": np.array(prior)}
        save_histograms(path, made, **about)
    return maps, sorted(map(str, tmp_path.glob("*.npz")))


def test_they_are_those_of_the_maps(maps):
    volumes, paths = maps
    points = {
        "fixed": {"threshold": EDGE},
        "gone": {"threshold": None},
        "otsu": {"threshold": None, "per": "slice", "kind": "otsu", "settings": {"opening": 0.0}},
    }
    found = healthy_volumes(paths, {"ixi": {"sub-0", "sub-2"}}, "none", points, 0.008)
    expected = sorted((volumes[name] > EDGE).sum() * 0.008 for name in ("sub-0", "sub-2"))
    assert found == {"fixed": pytest.approx(expected, abs=1e-4)}


def test_nothing_is_said_without_healthy_scans(maps):
    assert healthy_volumes(maps[1], {"ixi": set()}, "none", {"a": {"threshold": EDGE}}, 1) == {}


def test_a_place_is_the_share_of_those_with_less():
    healthy = [0.0, 0.0, 1.0, 2.0]
    assert place_among(0.0, healthy) == (0, 0)
    assert place_among(1.5, healthy) == (3, 75)
    assert place_among(9.0, healthy) == (4, 100)
