"""Binarise the filtered maps of one shard at every threshold rule."""

from pathlib import Path

import pandas

from job import run
from normscan.evaluation.froc import COLUMNS as FROC_COLUMNS
from normscan.evaluation.froc import froc_counts
from normscan.evaluation.segmentation import segmentation_scores
from normscan.evaluation.truth import load_truth
from normscan.files import load_nifti, read_json, write_json, write_tsv
from normscan.postprocessing.components import drop_small
from normscan.postprocessing.detections import write_detections
from normscan.progress import progress
from normscan.slices.index import load_index

COLUMNS = ["scan", "subject", "threshold_rule", "metric", "value"]


def main(snakemake) -> None:
    params = snakemake.params
    rules = read_json(snakemake.input.thresholds)[params.prior]
    scans = {scan.scan: scan for scan in load_index(snakemake.input.index).scans}
    filtered_scans = read_json(snakemake.input.filtered)["scans"]
    primary = first_usable(rules, params.primary)
    thresholds = read_json(snakemake.input.froc)[params.prior]
    rows, counts, done = [], [], {}
    for name, paths in progress(list(filtered_scans.items()), "segmenting"):
        scan = scans[name]
        filtered, affine = load_nifti(paths["filtered"])
        lesion, ignored = load_truth(scan.lesions, params.lesion_labels, filtered.shape)
        for label, rule in rules.items():
            if rule["threshold"] is None:
                continue
            detected = drop_small(filtered > rule["threshold"], params.minimum_voxels)
            for metric, value in segmentation_scores(detected, lesion, affine, ignored).items():
                rows.append([name, scan.subject, label, metric, value])
        found = froc_counts(filtered, lesion, thresholds, params.minimum_voxels, ignored)
        counts += [[name, *row] for row in found]
        done[name] = dict(paths)
        if primary:
            _, files = write_detections(
                filtered,
                affine,
                rules[primary]["threshold"],
                params.minimum_voxels,
                scan,
                params.contrast,
                Path(params.folder, name),
            )
            done[name] |= files
        done[name] |= {"brain": scan.brain, "lesions": scan.lesions}
    write_tsv(snakemake.output.scores, pandas.DataFrame(rows, columns=COLUMNS))
    write_tsv(snakemake.output.froc, pandas.DataFrame(counts, columns=FROC_COLUMNS))
    write_json(snakemake.output.manifest, {"rule": primary, "scans": done})


def first_usable(rules: dict, wanted: str) -> str:
    """The wanted rule when it has a threshold, else the first that has one, else none."""
    usable = [label for label, rule in rules.items() if rule["threshold"] is not None]
    return wanted if wanted in usable else (usable or [""])[0]


run(snakemake, main)
