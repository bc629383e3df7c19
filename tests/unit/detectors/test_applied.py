"""What a detector is given of scans."""

import numpy as np
import pytest
from fake_models import CPU
from made_pack import write_pack

from normscan.detectors.applied import Applied
from normscan.streams import LESION_FREE


@pytest.fixture
def pack(tmp_path):
    """A scan of six slices, two of them with a lesion."""
    brain = np.ones((8, 8, 6), np.uint8)
    lesion = np.zeros_like(brain)
    lesion[2:4, 2:4, 3:5] = 2
    image = np.arange(brain.size, dtype=float).reshape(brain.shape)
    return write_pack(tmp_path, {"sub-1": {"brain": brain, "lesion": lesion, "image": image}})


def test_settings_are_found_on_slices_without_lesions(pack):
    """Of patients, too: whatever label a lesion has."""
    applied = Applied("intensity", {}, CPU)
    whole = applied.store([pack], ["FLAIR"])
    healthy = applied.store([pack], ["FLAIR"], ["wmh/sub-1"], LESION_FREE)
    assert (len(whole), len(healthy)) == (6, 4)
    kept = whole.batch(np.array([0, 1, 2, 5])).slices
    np.testing.assert_array_equal(healthy.scan("wmh/sub-1").slices, kept)


def test_a_detector_gets_its_layers_and_no_labels(pack):
    scan = Applied("intensity", {}, CPU).store([pack], ["FLAIR"]).scan("wmh/sub-1")
    assert set(scan.layers) == {"brain"}
