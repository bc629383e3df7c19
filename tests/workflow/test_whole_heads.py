"""Whole heads through the steps that tiny studies, which have brains only, leave out."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import pytest

from normscan.cohorts.simulation.simulate import simulate_scan
from normscan.preprocessing.resample import to_native
from normscan.preprocessing.volumes import Prepared

pytestmark = pytest.mark.workflow


def test_whole_heads_are_stripped_by_robex(workflow):
    """One simulated head through registration and ROBEX, against its true brain."""
    folder = workflow.folder / "data" / "heads"
    simulate_scan(folder, "01", cohort="heads", seed=5, oblique=True)
    workflow.config["cohorts"] = {
        "heads": {"role": "unlabelled", "source": "bids", "path": "data/heads"}
    }
    workflow.protocol["preprocessing"] = [
        {"register": {"atlas": "robex", "transform": "affine", "spacing": 3.0}},
        {"strip_skull": {"method": "robex"}},
    ]
    workflow.protocol["approaches"] = {"intensity": {"detector": "intensity"}}
    workflow.write()
    chain = "raw+register-affine-robex-3mm+strip_skull-robex"
    manifest = workflow.results / "preprocessed" / chain / "heads" / "00.json"
    workflow.run(str(manifest.relative_to(workflow.folder)))
    (entry,) = json.loads(manifest.read_text())["scans"]
    prepared = Prepared.from_json(entry)
    mask, _ = to_native(Path(prepared.brain).as_posix(), prepared, "T1w", interpolation="nearest")
    path = folder / "derivatives" / "truth" / "sub-01" / "anat" / "sub-01_desc-brain_mask.nii.gz"
    truth = nibabel.load(path).get_fdata() > 0.5
    found = mask > 0.5
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
