"""Slices that a screened scan's page shows: where something is, never to fill the page."""

from types import SimpleNamespace

import numpy as np

from normscan.report.screened import SHOWN_SLICES, rows

SHAPE = (4, 4, 30)


def labels(filtered: np.ndarray, detected: np.ndarray) -> list[str]:
    brain = np.zeros(SHAPE, np.uint8)
    brain[1:3, 1:3, 10:25] = 1
    shard = SimpleNamespace(
        filtered=lambda _: filtered,
        detected=lambda _: detected,
        brain=lambda _: brain,
        slices=lambda scan, z: {},
        content={"approach": {"expected": "reconstruction"}},
    )
    return [row["label"] for row in rows(shard, "sub-1")]


def test_only_slices_with_something_detected_are_shown():
    filtered, detected = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, bool)
    filtered[1, 1] = 0.2
    for z, score in ((12, 0.5), (20, 0.9)):
        filtered[1, 1, z], detected[1, 1, z] = score, True
    assert labels(filtered, detected) == ["z = 12", "z = 20"]


def test_without_a_detection_the_highest_scores_are_shown():
    filtered = np.zeros(SHAPE, np.float32)
    filtered[1, 1, 15] = 0.1
    assert labels(filtered, np.zeros(SHAPE, bool)) == ["z = 15"]


def test_of_an_empty_map_slices_of_the_brain_are_shown():
    shown = labels(np.zeros(SHAPE, np.float32), np.zeros(SHAPE, bool))
    assert len(shown) == SHOWN_SLICES
    assert all(10 <= int(label.split()[-1]) < 25 for label in shown)
