"""A scan as the viewer takes it, made without any detection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
from made_pack import AFFINE, write_pack

from normscan.evaluation.found import Found
from normscan.files import read_json, save_nifti, write_json
from normscan.postprocessing.components import component_table, drop_small, label
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.resample import resample
from normscan.preprocessing.transforms import write_affine
from normscan.report.viewer import Shown
from normscan.slices.index import load_index
from normscan.slices.rows import RowWriter

SHAPE = (24, 24, 16)
SCAN = "sub-1"
THRESHOLD = 0.5
RULES = [
    {"rule": "best_dice", "value": THRESHOLD, "false_positive_rate": 0.004, "used": True},
    {"rule": "healthy_fpr_0.05", "value": 0.2, "false_positive_rate": 0.05},
    {"rule": "otsu_slice_256_0", "value": None, "per": "slice", "false_positive_rate": 0.1},
]


def volumes() -> dict[str, np.ndarray]:
    """A brain with two bright spots, of which one is a lesion."""
    random = np.random.default_rng(0)
    brain = np.zeros(SHAPE, np.uint8)
    brain[4:20, 3:21, 2:14] = 1
    image = (0.4 + 0.2 * random.random(SHAPE)) * brain
    score = 0.3 * random.random(SHAPE) * brain
    lesion = np.zeros(SHAPE, np.uint8)
    for spot in (np.s_[6:9, 6:9, 4:7], np.s_[14:18, 14:18, 8:12]):
        image[spot] += 1
        score[spot] = 0.6 + 0.3 * random.random(score[spot].shape)
    lesion[14:18, 14:18, 8:12] = 1
    return {"brain": brain, "image": image, "score": score, "lesion": lesion}


def write_found(folder: Path, name: str = "vae", expected: bool = True) -> Found:
    """Pack, arrays and manifest of one scan, as screening leaves them."""
    made = volumes()
    pack = write_pack(folder, {SCAN: made})
    index = load_index(pack)
    entry = index.scan(SCAN)
    manifest = folder / f"{name}.json"
    with RowWriter(manifest, index.scans, index.size) as writer:
        writer.put("filtered", SCAN, entry.slices_of(made["score"].astype(np.float32)))
        if expected:
            writer.put("expected", SCAN, entry.slices_of(0.5 * made["brain"]))
    write_json(
        manifest,
        {
            **writer.facts(),
            "index": str(pack),
            "contrast": "FLAIR",
            "threshold": THRESHOLD,
            "minimum_voxels": 2,
        },
    )
    return Found(manifest)


# Where the scan lies before it is registered: turned, stretched and moved, in small tilted voxels.
NATIVE_FROM_ATLAS = np.array(
    [[1.04, 0.12, -0.05, 9], [-0.1, 0.97, 0.15, -6], [0.06, -0.14, 1.02, 12], [0, 0, 0, 1]]
)
NATIVE = Grid(
    (70, 76, 40),
    np.array([[-0.85, 0.05, 0, 63], [0.04, 0.85, 0.1, -20], [0, -0.08, 1.2, 3], [0, 0, 0, 1]]),
)
_FLIP = np.diag([-1.0, -1, 1, 1])


def place_natively(index: Path, folder: Path, scan: str = SCAN, scale: float = 100.0) -> None:
    """Give the scan of a pack a native volume on a grid of its own, and the way back to it."""
    content = read_json(index)
    entry = load_index(index).scan(scan)
    atlas = Grid(entry.shape, np.asarray(entry.affine, float))
    forward = write_affine(folder / "forward.mat", _FLIP @ NATIVE_FROM_ATLAS @ _FLIP)
    image = scale * volumes()["image"]
    native = resample(image, atlas, NATIVE, [forward], "linear", [True])
    save_nifti(folder / "raw.nii.gz", native, NATIVE.affine, np.float32)
    (one,) = (one for one in content["scans"] if one["scan"] == scan)
    one["transforms"]["FLAIR"] = [forward]
    one["native"]["FLAIR"] = str(folder / "raw.nii.gz")
    write_json(index, content)


def components(found: Found) -> pandas.DataFrame:
    """Its detected components."""
    filtered = found.filtered(SCAN)
    parts, _ = label(drop_small(filtered > THRESHOLD, 2))
    return component_table(parts, filtered, AFFINE, parts, AFFINE)


def shown(folder: Path, titles: tuple[str, ...] = ("VAE", "Intensity")) -> list[Shown]:
    """Approaches on the scan; only the first reconstructs."""
    found = [write_found(folder, f"shard-{place}", not place) for place in range(len(titles))]
    return [
        Shown(one, title, place, "restoration", components(one), RULES)
        for place, (title, one) in enumerate(zip(titles, found))
    ]
