"""The job of a training with augmentation: what it learns from, and what its bundle says."""

from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from handed_on import run
from made_pack import write_pack

from normscan.files import read_json, write_tsv
from normscan.models import registry
from normscan.slices.augmentation import TRANSFORMS

SHAPE = (16, 16, 5)


class Files(SimpleNamespace):
    """Inputs that may be asked for, as Snakemake's."""

    def get(self, name, default):
        return getattr(self, name, default)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("packed"), np.random.default_rng(0)
    brain = np.zeros(SHAPE, np.uint8)
    brain[3:13, 3:13] = 1
    scans = {
        f"sub-{n}": {"brain": brain, "lesion": brain * 0, "image": brain * random.random(SHAPE)}
        for n in range(3)
    }
    return write_pack(folder, scans, cohort="ixi")


def trained(folder, pack, augmentation):
    rows = [["ixi", f"{n}", f"sub-{n}", "validation" if n == 2 else "train"] for n in range(3)]
    table = pandas.DataFrame(rows, columns=["cohort", "subject", "scan", "split"])
    write_tsv(folder / "subjects.tsv", table)
    declared = registry.describe("vae")["settings"]
    settings = {**declared, "latent": 4, "max_epochs": 2, "batch_size": 4, "precision": "float32"}
    inputs = Files(packs=[str(pack)], subjects=[str(folder / "subjects.tsv")])
    params = {
        "family": "vae", "settings": settings, "augmentation": augmentation, "device": "cpu",
        "streams": {"main": {"cohorts": ["ixi"], "slices": "all"}}, "share": 100, "split_seed": 0,
        "inputs": ["FLAIR"], "targets": ["FLAIR"], "neighbours": 0, "uses": [], "code": "",
        "checkpoints": str(folder / "checkpoints"),
    }  # fmt: skip
    outputs = {"weights": folder / "weights.safetensors", "bundle": folder / "bundle.json"}
    outputs |= {"curve": folder / "curve.tsv", "figure": [folder / "curve.png"]}
    run("train.py", input=inputs, params=params, output=outputs, wildcards={"seed": "0"})
    return read_json(folder / "bundle.json")


def test_its_bundle_says_how_slices_were_augmented(tmp_path, pack):
    made = {}
    for name, chosen in {"plain": {}, "noise": {"noise": TRANSFORMS["noise"]}}.items():
        (tmp_path / name).mkdir()
        made[name] = trained(tmp_path / name, pack, chosen)
    assert made["plain"]["augmentation"] == {}
    assert made["noise"]["augmentation"] == {"noise": {"probability": 0.5, "std": 0.25}}
    assert made["plain"]["weights"] != made["noise"]["weights"]
    assert made["plain"]["settings"] == made["noise"]["settings"]
