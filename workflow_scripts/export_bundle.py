"""Put together what screening other scans needs: weights, settings, thresholds, fingerprint."""

from pathlib import Path
from typing import Any

import numpy as np

from job import run
from normscan.files import atomic_path, file_digest, read_json
from normscan.postprocessing.exported import DIGEST, write_record
from normscan.postprocessing.exported_fused import PARTS, all_trained_on, healthy_file
from normscan.postprocessing.healthy_volumes import healthy_volumes
from normscan.postprocessing.pooling import validation_scans
from normscan.postprocessing.told import HEALTHY_ML, TRAINED_ON
from normscan.postprocessing.trained_on import trained_on
from normscan.slices.index import load_index


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    folder = Path(params.folder)
    record: dict[str, Any] = {**params.approach, "seed": int(snakemake.wildcards.seed)}
    record["settings"] = dict(record["settings"])
    record["fingerprint"] = params.fingerprint
    record["thresholds"] = read_json(files.thresholds)
    record[HEALTHY_ML] = volumes(files, params.healthy_cohorts, record["thresholds"])
    described = [files.model] if files.get("model") else []
    models = [read_json(path) for path in [*described, *files.get("used_bundles", [])]]
    record[TRAINED_ON] = trained_on(models, params.ages)
    if params.fused:
        record |= of_parts(params.fused, files.part_bundles)
    record["files"] = {}
    if files.get("tuned"):
        record["settings"] |= read_json(files.tuned)["settings"]
    for name, source in copies(files, params.uses, params.priors).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(Path(source).read_bytes())
        record["files"][name] = file_digest(folder / name)
    write_record(snakemake.output[0], record)


def volumes(files: Any, cohorts: list[str], thresholds: dict[str, dict]) -> dict[str, Any]:
    """Prior -> rule -> volumes of held-out healthy scans; empty where no scan is healthy."""
    scans = validation_scans(cohorts, files.get("subjects", []))
    affines = (one.affine for path in files.get("packs", []) for one in load_index(path).scans)
    affine = next(affines, None)  # All scans of a pack share the slice grid.
    if affine is None:
        return {}
    voxel_ml = abs(float(np.linalg.det(np.asarray(affine)[:3, :3]))) / 1000
    found = {
        prior: healthy_volumes(files.healthy, scans, prior, points, voxel_ml)
        for prior, points in thresholds.items()
    }
    return {prior: rules for prior, rules in found.items() if rules}


def of_parts(fused: list[dict[str, Any]], bundles: list[str]) -> dict[str, Any]:
    """What a fused approach says of its parts: which bundles they are, and their training."""
    records = [read_json(path) for path in bundles]
    parts = [
        {**said, "digest": record[DIGEST]} for said, record in zip(fused, records, strict=True)
    ]
    return {PARTS: parts, TRAINED_ON: all_trained_on([one[TRAINED_ON] for one in records])}


def copies(files: Any, roles: list[str], priors: list[str]) -> dict[str, str]:
    """Name in the bundle -> file: the model's, those of the models that a detector uses, and what
    the maps of a fused approach's parts are compared with, part by part under each prior."""
    found = {}
    if files.get("weights"):
        found = {"weights.safetensors": files.weights, "bundle.json": files.model}
    used = files.get("used_weights", []), files.get("used_bundles", [])
    for role, weights, bundle in zip(roles, *used):
        found[f"uses/{role}/weights.safetensors"] = weights
        found[f"uses/{role}/bundle.json"] = bundle
    healthy = files.get("part_healthy", [])
    for place, path in enumerate(healthy):
        found[healthy_file(place // len(priors), priors[place % len(priors)])] = path
    return found


run(snakemake, main)
