"""What stands between a detector and the table of metrics, run on a made-up shard."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
from snakemake.iocontainers import Wildcards

import job
from normscan.detectors.base import Detection
from normscan.detectors.maps import write_maps
from normscan.files import read_json, read_tsv, write_json, write_tsv
from normscan.slices.index import load_index
from normscan.workflow.configuration import VOLUMES

SCRIPTS = Path(job.__file__).parent
WILDCARDS = {"cohort": "wmh", "shard": "00", "protocol": "p", "variant": "vae", "seed": "0"}


def run(script: str, **given) -> None:
    """Run a script as Snakemake would."""
    wildcards = Wildcards(fromdict=given.pop("wildcards", {}))
    values = {
        key: SimpleNamespace(**value) if isinstance(value, dict) else value
        for key, value in given.items()
    }
    snakemake = SimpleNamespace(
        rule=Path(script).stem, wildcards=wildcards, log=[], threads=1, **values
    )
    runpy.run_path(str(SCRIPTS / script), init_globals={"snakemake": snakemake})


def write_detections(
    folder: Path,
    pack: Path,
    maps: dict[str, np.ndarray | None],
    *,
    expected: dict[str, np.ndarray] | None = None,
    uncertainty: dict[str, np.ndarray] | None = None,
    scores: dict[str, np.ndarray] | None = None,
) -> None:
    """``maps.json`` as detection leaves it: a volume of each scan, scores of its brain slices."""
    index = load_index(pack)
    scans = [index.scan(name) for name in maps]
    detections = []
    for scan in scans:
        rows = scan.rows_with_brain(index.min_brain_voxels)
        signed, found = maps[scan.scan], (expected or {}).get(scan.scan)
        spread = (uncertainty or {}).get(scan.scan)
        detections.append(
            Detection(
                None if signed is None else scan.slices_of(signed)[rows],
                None if found is None else scan.slices_of(found)[rows][:, None],
                (scores or {}).get(scan.scan),
                None if spread is None else scan.slices_of(spread)[rows],
            )
        )
    write_maps(folder / "maps.json", {"cohort": index.cohort}, index, scans, detections)


def filter_and_segment(
    folder: Path,
    pack: Path,
    *,
    threshold: float | None = 0.5,
    prior: str = "none",
    signed: bool = True,
    volumes: dict[str, str] | None = None,
    froc: tuple[float, ...] = (0.5,),
    points: dict[str, dict] | None = None,
    **given: Any,
) -> None:
    """``filtered.*`` and ``detected.*`` beside ``maps.json``."""
    points = points or {"fixed": {"threshold": threshold}}
    write_json(folder / "thresholds.json", {prior: points})
    write_json(folder / "froc.json", {prior: list(froc)})
    names = ("maps", "filtered", "thresholds", "froc")
    inputs = {name: folder / f"{name}.json" for name in names} | {"index": pack}
    params = {
        "erosion": 0, "median": 1, "lesion_labels": [], "lesion_classes": {}, "prior": prior,
        "minimum_voxels": 1, "primary": "fixed", "contrast": "FLAIR",
        "folder": str(folder / "volumes"), **given,
        "volumes": {**VOLUMES, **(volumes or {})},
    }  # fmt: skip
    suffixes = {"manifest": ".json", "histograms": ".npz", "residuals": "-residuals.json"}
    outputs = {name: folder / f"filtered{suffix}" for name, suffix in suffixes.items()}
    wildcards = {**WILDCARDS, "prior": prior}
    applied = params | {"prior": prior if signed else "none"}
    run("filter_maps.py", input=inputs, params=applied, output=outputs, wildcards=wildcards)
    suffixes = {"manifest": ".json", "scores": ".tsv", "froc": "-froc.tsv"}
    suffixes |= {"components": "-components.tsv", "slices": "-slices.tsv"}
    outputs = {name: folder / f"detected{suffix}" for name, suffix in suffixes.items()}
    run("segment.py", input=inputs, params=params, output=outputs, wildcards=WILDCARDS)


def detect_filter_segment(folder: Path, pack: Path, maps: dict[str, np.ndarray], **given) -> None:
    """All of it, of maps given as volumes."""
    write_detections(folder, pack, dict(maps))
    filter_and_segment(folder, pack, **given)


def evaluate(folder: Path, splits: dict[str, str], *, prior: str = "none", residual: bool = False):
    """``metrics.tsv`` and ``curves.json`` of scans (name -> split) from what the others left."""
    rows = [[scan, scan.removeprefix("sub-"), split] for scan, split in splits.items()]
    table = pandas.DataFrame(rows, columns=["scan", "subject", "split"])
    write_tsv(folder / "subjects.tsv", table)
    ends = {"scores": ".tsv", "froc": "-froc.tsv", "slices": "-slices.tsv"}
    inputs: dict[str, Any] = {name: [folder / f"detected{end}"] for name, end in ends.items()}
    inputs |= {"histograms": [folder / "filtered.npz"], "thresholds": folder / "thresholds.json"}
    inputs |= {"residuals": [folder / "filtered-residuals.json"]}
    inputs |= {"subjects": folder / "subjects.tsv"}
    content = read_json(folder / "thresholds.json")
    for one in content[prior].values():
        one.setdefault("cohorts", ["healthy"])
    write_json(folder / "thresholds.json", content)
    outputs = {"rows": folder / "metrics.tsv", "curves": folder / "curves.json"}
    outputs |= {"slices": folder / "slices.tsv"}
    params = {"prior": prior, "residual": residual}
    run("evaluate.py", input=inputs, params=params, output=outputs, wildcards=WILDCARDS)
    metrics = read_tsv(folder / "metrics.tsv", dtype={"subject": str, "scan": str})
    return metrics, read_json(folder / "curves.json")
