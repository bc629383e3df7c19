"""Patients and healthy scans with filtered maps of two approaches, and what fuses them."""

import numpy as np
import pandas
import pytest
from handed_on import run, write_detections
from made_pack import write_pack

from normscan.files import read_json, write_tsv
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

SHAPE = (24, 24, 12)
EROSION = 1
SPLITS = {"sub-1": "test", "sub-2": "validation"}
HEALTHY = {"sub-h1": "validation", "sub-h2": "validation", "sub-h3": "validation"}
SETTINGS = {"least_scans": 0, "tail": 0.01}


def made_scan(seed: int, lesion: bool) -> dict[str, np.ndarray]:
    places = np.stack(np.indices(SHAPE), axis=-1) - (np.array(SHAPE) - 1) / 2
    brain = (((places / (9, 10, 4.6)) ** 2).sum(axis=-1) < 1).astype(np.uint8)
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:12, 9:13, 4:7] = lesion
    return {"brain": brain, "lesion": labels, "image": brain * 1.0}


def signed(seed: int, lesion: np.ndarray, scale: float) -> np.ndarray:
    """Noise of a scale, and lesions of twice to thrice its spread."""
    random = np.random.default_rng(seed)
    return ((random.normal(0, 1, SHAPE) + 2.5 * (lesion > 0)) * scale).astype(np.float32)


def filtered(folder, pack, name: str, maps, cohort: str) -> None:
    write_detections(folder, pack, maps)
    ends = {"manifest": ".json", "histograms": ".npz", "residuals": "-residuals.json"}
    run(
        "filter_maps.py",
        input={"maps": folder / "maps.json", "index": pack},
        params={
            "erosion": EROSION, "median": 1, "lesion_labels": [], "lesion_classes": {},
            "prior": "hyperintense",
        },
        output={key: folder / f"{name}{end}" for key, end in ends.items()},
        wildcards={
            "cohort": cohort, "shard": "00", "protocol": "p", "variant": name, "seed": "0",
            "prior": "hyperintense",
        },
    )  # fmt: skip


def fuse(
    folder, pack, *, weights=(0.5, 0.5), name="filtered", cohort="wmh", combine="sum", **changes
) -> dict:
    ends = {"manifest": ".json", "histograms": ".npz", "residuals": "-residuals.json"}
    healthy = folder.parent / "healthy"
    run(
        "fuse_maps.py",
        input={
            "filtered": [folder / "a.json", folder / "b.json"],
            "healthy": [healthy / "a-healthy.npz", healthy / "b-healthy.npz"],
            "index": pack,
        },
        params={
            "fused": [
                {"variant": one, "seed": 0, "weight": weight}
                for one, weight in zip("ab", weights)
            ],
            "settings": {**SETTINGS, **changes}, "combine": combine,
            "erosion": EROSION, "lesion_labels": [], "lesion_classes": {},
        },
        output={key: folder / f"{name}{end}" for key, end in ends.items()},
        wildcards={
            "cohort": cohort, "shard": "00", "protocol": "p", "variant": "both", "seed": "0",
            "prior": "hyperintense",
        },
    )  # fmt: skip
    return read_json(folder / f"{name}.json")


def count(folder, name: str) -> None:
    rows = [[scan, scan, split] for scan, split in HEALTHY.items()]
    table = pandas.DataFrame(rows, columns=["scan", "subject", "split"])
    write_tsv(folder / "subjects.tsv", table)
    run(
        "count_healthy.py",
        input={"filtered": [folder / f"{name}.json"], "subjects": [folder / "subjects.tsv"]},
        params={"cohorts": ["healthy"], "erosion": EROSION},
        output=[str(folder / f"{name}-healthy.npz")],
        wildcards={"protocol": "p", "variant": name, "seed": "0", "prior": "hyperintense"},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Patients and healthy scans with maps of two approaches of very different units."""
    root = tmp_path_factory.mktemp("fused")
    packs = {}
    for cohort, names, lesion in (("healthy", HEALTHY, 0), ("wmh", SPLITS, 1)):
        folder = root / cohort
        folder.mkdir()
        scans = {name: made_scan(number, bool(lesion)) for number, name in enumerate(names)}
        packs[cohort] = write_pack(folder, scans, cohort=cohort, min_brain_voxels=40)
        for offset, (part, scale) in enumerate({"a": 0.01, "b": 30.0}.items()):
            maps = {
                name: signed(100 * offset + 10 * lesion + number, one["lesion"], scale)
                for number, (name, one) in enumerate(scans.items())
            }
            filtered(folder, packs[cohort], part, maps, cohort)
            if not lesion:
                count(folder, part)
    fuse(root / "wmh", packs["wmh"])
    return root, packs


def volume(made, name: str, scan: str, cohort: str = "wmh") -> np.ndarray:
    folder, pack = made[0] / cohort, load_index(made[1][cohort])
    return RowReader(folder / f"{name}.json").volume("filtered", pack.scan(scan))
