"""Screen the scans of one shard with a bundle trained before."""

import logging
from dataclasses import replace
from pathlib import Path

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied
from normscan.detectors.maps import put_detection
from normscan.errors import BundleError
from normscan.evaluation.truth import load_brain
from normscan.files import read_json, write_json
from normscan.postprocessing.exported import read_record
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.screening import (
    check_files,
    check_scans,
    chosen_point,
    mark,
    shard_record,
)
from normscan.progress import progress
from normscan.slices.index import PackIndex, load_index, stack_volume
from normscan.slices.rows import RowWriter
from normscan.training.bundle import scans_seen

LOG = logging.getLogger("normscan")
MODEL_FILES = {"weights": "weights.safetensors", "bundle": "bundle.json"}


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    bundle = Path(params.bundle)
    record = read_record(bundle / "approach.json", snakemake.wildcards.protocol)
    check_files(bundle, record)
    index = load_index(files.index)
    check_scans(bundle, record, index)
    device = prepare_torch(params.device, snakemake.threads)
    applied = Applied(
        record["detector"],
        record["settings"],
        device,
        **(model_files(bundle) if "bundle.json" in record["files"] else {}),
        used={role: used_files(bundle, role) for role in record["uses"]},
    )
    applied.refuse_other_scans(index)
    rule, point = chosen_point(record, params.prior, bundle)
    excluded = left_out(snakemake, index, applied.bundles)
    scans = [one for one in index.scans if one.scan not in excluded]
    output, post = Path(snakemake.output[0]), record["postprocessing"]
    prior = (post.get("prior") or params.prior) if applied.signed else "none"
    detector, volumes = applied.prepare(index.contrasts), {}
    store = applied.store([files.index], index.contrasts) if scans else None
    with RowWriter(output, scans, index.size) as writer:
        for scan in progress(scans, "screening"):
            brain = load_brain(files.index, scan)
            rows = scan.rows_with_brain(index.min_brain_voxels)
            assert store is not None
            found = detector.detect(store.scan(f"{index.cohort}/{scan.scan}"), record["seed"])
            if found.map is None:
                raise BundleError(
                    f"{bundle}: scores whole slices, so that there is nothing to be marked; name "
                    "other approaches in config.screening.approaches"
                )
            put_detection(writer, scan, rows, replace(found, map=None))
            filtered = filter_map(
                stack_volume(found.map, scan, rows),
                brain,
                prior=prior,
                erosion=post["erosion"],
                median=post["median"],
            )
            writer.put("filtered", scan.scan, scan.slices_of(filtered))
            spread = found.uncertainty
            volumes[scan.scan] = mark(
                Path(params.folder),
                scan,
                params.contrast,
                filtered,
                point,
                post["minimum_voxels"],
                None if spread is None else stack_volume(spread, scan, rows),
            )
    write_json(
        output,
        shard_record(
            writer.facts(),
            volumes,
            record,
            snakemake.wildcards.variant,
            params.prior,
            rule,
            cohort=snakemake.wildcards.cohort,
            shard=index.shard,
            contrast=params.contrast,
            index=str(files.index),
            excluded=excluded,
        ),
    )


def left_out(snakemake, index: PackIndex, bundles: list[dict]) -> dict[str, str]:
    """Scans not to be screened, with reasons: bad ones, and those the model was trained on.

    Those that preprocessing or quality control left out are not in the pack any more.

    Raises
    ------
    BundleError : a scan that the model was trained on, unless such scans are to be left out.
    """
    params, w = snakemake.params, snakemake.wildcards
    packing = {one["scan"]: one["reason"] for one in index.excluded}
    checked = packing | read_json(snakemake.input.checked)["excluded"].get(w.cohort, {})
    contents = {one.scan: one.content for one in index.scans if one.scan not in checked}
    seen: dict[str, str] = {}
    for bundle in bundles:
        seen = scans_seen(bundle, contents) | seen
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


def model_files(folder: Path) -> dict[str, Path]:
    """Weights and description of a model in a folder."""
    return {key: folder / name for key, name in MODEL_FILES.items()}


def used_files(bundle: Path, role: str) -> tuple[Path, Path]:
    """Weights and description of a further model that the detector uses."""
    files = model_files(bundle / "uses" / role)
    return files["weights"], files["bundle"]


run(snakemake, main)
