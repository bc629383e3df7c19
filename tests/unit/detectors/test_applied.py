"""What a detector is given of scans."""

from dataclasses import replace

import numpy as np
import pytest
from fake_models import CPU
from made_pack import write_pack

from normscan.detectors.applied import Applied
from normscan.errors import BundleError
from normscan.slices.index import load_index
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


def test_a_shard_without_scans_is_refused_by_no_model(pack):
    """It has no grid: all of its scans were left out before."""
    applied, index = Applied("intensity", {}, CPU), load_index(pack)
    applied.bundles = [
        {"family": "vae", "fingerprint": {**index.fingerprint, "contrasts": ["T1w"]}}
    ]
    with pytest.raises(BundleError, match="contrasts"):
        applied.refuse_other_scans(index)
    applied.refuse_other_scans(replace(index, scans=[], grid={}))
