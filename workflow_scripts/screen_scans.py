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
from normscan.files import file_digest, inside, read_json, write_json, write_tsv
from normscan.postprocessing.detections import detect_components, write_volumes
from normscan.postprocessing.exported import DIGEST, read_record
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.slice_rules import Point, operating_point, point_record
from normscan.postprocessing.told import HEALTHY_ML, TRAINED_ON
from normscan.progress import progress
from normscan.slices.index import PackIndex, differences, load_index, stack_volume
from normscan.slices.rows import RowWriter
from normscan.training.bundle import scans_seen

LOG = logging.getLogger("normscan")
MODEL_FILES = {"weights": "weights.safetensors", "bundle": "bundle.json"}
# Whoever screens wants the results in the scans' own space, whatever the configuration says.
VOLUMES = {"detections": "native", "maps": "native", "reconstructions": "none"}
VOLUMES["uncertainties"] = "native"


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    bundle = Path(params.bundle)
    record = read_record(bundle / "approach.json", snakemake.wildcards.protocol)
    check_files(bundle, record)
    index = load_index(files.index)
    unlike = differences(record["fingerprint"], index.settings)
    if unlike:
        raise BundleError(
            f"{bundle}: the scans of cohort '{snakemake.wildcards.cohort}' were preprocessed "
            "differently from those that this bundle was made from:\n"
            + "\n".join(f"  - {line}" for line in unlike)
        )
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
            folder = Path(params.folder, scan.scan)
            components = folder / f"{scan.scan}_components.tsv"
            detections = detect_components(
                filtered, point, post["minimum_voxels"], scan, params.contrast
            )
            write_tsv(components, detections.components)
            spread = found.uncertainty
            written = write_volumes(
                folder,
                scan,
                params.contrast,
                VOLUMES,
                found=detections,
                filtered=filtered,
                uncertainty=None if spread is None else stack_volume(spread, scan, rows),
            )
            volumes[scan.scan] = {**written, "components": str(components)}
    facts = writer.facts()
    facts["scans"] = {scan: {**place, **volumes[scan]} for scan, place in facts["scans"].items()}
    write_json(
        output,
        {
            **facts,
            "cohort": snakemake.wildcards.cohort,
            "shard": index.shard,
            "approach": {
                "variant": snakemake.wildcards.variant,
                **{
                    key: record[key]
                    for key in ("protocol", "title", "model", "detector", "expected")
                },
            },
            "seed": record["seed"],
            "contrast": params.contrast,
            "index": str(files.index),
            "rule": rule,
            **point_record(record["thresholds"][params.prior][rule]),
            "minimum_voxels": post["minimum_voxels"],
            "thresholds": record["thresholds"][params.prior],
            "bundle": about(record, params.prior, rule),
            "postprocessing": post,
            "excluded": excluded,
        },
    )


def about(record: dict, prior: str, rule: str) -> dict:
    """What pages say of the bundle; None for what it does not know."""
    return {
        "digest": record[DIGEST],
        "format": record.get("format", 1),
        HEALTHY_ML: record.get(HEALTHY_ML, {}).get(prior, {}).get(rule),
        TRAINED_ON: record.get(TRAINED_ON),
    }


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


def check_files(folder: Path, record: dict) -> None:
    """BundleError when a file of a bundle is missing, or not the one it was made with."""
    for name, digest in record["files"].items():
        path = inside(folder, name)
        if not path.is_file():
            raise BundleError(f"{path}: missing; export the bundle again")
        if file_digest(path) != digest:
            raise BundleError(f"{path}: changed since the bundle was made; export it again")


def chosen_point(record: dict, prior: str, folder: Path) -> tuple[str, Point]:
    """The rule to detect with under a cohort's prior, and what it detects with."""
    thresholds = record["thresholds"].get(prior, {})
    points = {label: operating_point(one) for label, one in thresholds.items()}
    usable = {label: point for label, point in points.items() if point is not None}
    if not usable:
        raise BundleError(
            f"{folder}: has no threshold for prior '{prior}', only for "
            f"{', '.join(sorted(record['thresholds'])) or 'none'}"
        )
    rule = record["primary_rule"] if record["primary_rule"] in usable else next(iter(usable))
    return rule, usable[rule]


run(snakemake, main)
