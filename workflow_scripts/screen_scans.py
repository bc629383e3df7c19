"""Screen the scans of one shard with a bundle trained before."""

import logging
from pathlib import Path

import numpy as np

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied
from normscan.errors import BundleError
from normscan.files import file_digest, load_nifti, read_json, save_nifti, write_json
from normscan.postprocessing.detections import write_detections
from normscan.postprocessing.filter import filter_map
from normscan.progress import progress
from normscan.slices.index import PackIndex, differences, load_index, open_array
from normscan.training.bundle import scans_seen

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    params = snakemake.params
    bundle = Path(params.bundle)
    record = read_json(bundle / "approach.json")
    check_bundle(bundle, record)
    index = load_index(snakemake.input.index)
    unlike = differences(record["fingerprint"], index.settings)
    if unlike:
        raise BundleError(
            f"{bundle}: the scans of cohort '{snakemake.wildcards.cohort}' were preprocessed "
            "differently from those that this bundle was made from:\n"
            + "\n".join(f"  - {line}" for line in unlike)
        )
    device = prepare_torch(params.device, snakemake.threads)
    applied = Applied(record["detector"], record["settings"], record["seed"], device)
    if "bundle.json" in record["files"]:
        applied.load_model(bundle / "weights.safetensors", bundle / "bundle.json")
        applied.refuse_other_scans(index)
    rule, threshold = operating_point(record, params.prior, bundle)
    excluded = left_out(snakemake, index, applied.bundle)
    slices = open_array(snakemake.input.index)
    done = {}
    for scan in progress([one for one in index.scans if one.scan not in excluded], "screening"):
        folder = Path(params.folder, scan.scan)
        paths = applied.maps(slices, index, scan, folder)
        signed, affine = load_nifti(paths["map"])
        brain = load_nifti(scan.brain, np.uint8)[0] > 0
        post = record["postprocessing"]
        filtered = filter_map(
            signed, brain, prior=params.prior, erosion=post["erosion"], median=post["median"]
        )
        paths["filtered"] = str(folder / f"{scan.scan}_desc-filtered_map.nii.gz")
        save_nifti(paths["filtered"], filtered, affine, np.float32)
        _, files = write_detections(
            filtered, affine, threshold, post["minimum_voxels"], scan, params.contrast, folder
        )
        done[scan.scan] = {**paths, **files, "brain": scan.brain}
    write_json(
        snakemake.output[0],
        {
            "approach": {
                "variant": snakemake.wildcards.variant,
                **{key: record[key] for key in ("protocol", "title", "model", "detector")},
            },
            "seed": record["seed"],
            "contrast": params.contrast,
            "rule": rule,
            "thresholds": record["thresholds"][params.prior],
            "postprocessing": record["postprocessing"],
            "scans": done,
            "excluded": excluded,
        },
    )


def left_out(snakemake, index: PackIndex, bundle: dict | None) -> dict[str, str]:
    """Scans not to be screened, with reasons: bad ones, and those the model was trained on.

    Raises
    ------
    BundleError : a scan that the model was trained on, unless such scans are to be left out.
    """
    params, w = snakemake.params, snakemake.wildcards
    checked = read_json(snakemake.input.checked)["excluded"].get(w.cohort, {})
    contents = {one.scan: one.content for one in index.scans if one.scan not in checked}
    seen = {} if bundle is None else scans_seen(bundle, contents)
    lines = [f"{scan}: {what}" for scan, what in seen.items()]
    if lines and params.on_bad_scan == "stop":
        raise BundleError(
            f"{params.bundle}: scans of cohort '{w.cohort}' were there when its model was trained, "
            "which would find little in them. List them under 'exclude', set 'on_bad_scan: "
            "exclude' in config.yaml, or screen with a bundle that was trained on other scans:\n"
            + "\n".join(f"  - {line}" for line in lines)
        )
    for line in lines:
        LOG.warning("left out: %s", line)
    trained = f"{w.protocol}/{w.variant} was trained on it"
    return {**checked, **{scan: f"{trained}: {what}" for scan, what in seen.items()}}


def check_bundle(folder: Path, record: dict) -> None:
    """BundleError when a file of a bundle is missing or is not the one it was made with."""
    for name, digest in record["files"].items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: missing; export the bundle again")
        if file_digest(path) != digest:
            raise BundleError(f"{path}: changed since the bundle was made; export it again")


def operating_point(record: dict, prior: str, folder: Path) -> tuple[str, float]:
    """The rule and the threshold to detect with under a cohort's prior."""
    thresholds = record["thresholds"].get(prior, {})
    usable = {k: v["threshold"] for k, v in thresholds.items() if v["threshold"] is not None}
    if not usable:
        raise BundleError(
            f"{folder}: has no threshold for prior '{prior}', only for "
            f"{', '.join(sorted(record['thresholds'])) or 'none'}"
        )
    rule = record["primary_rule"] if record["primary_rule"] in usable else next(iter(usable))
    return rule, usable[rule]


run(snakemake, main)
