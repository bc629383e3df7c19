"""Filter the anomaly maps of one shard and count their scores."""

from pathlib import Path

import numpy as np

from job import run
from normscan.errors import NormscanError
from normscan.evaluation.region import evaluated_region
from normscan.evaluation.residuals import Residuals, save_residuals
from normscan.evaluation.truth import load_truth
from normscan.files import load_nifti, read_json, save_nifti, write_json
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.histograms import ScoreHistogram, save_histograms
from normscan.progress import progress
from normscan.slices.index import load_index


def main(snakemake) -> None:
    params = snakemake.params
    maps = read_json(snakemake.input.maps)["scans"]
    scans = {scan.scan: scan for scan in load_index(snakemake.input.index).scans}
    missing = sorted(set(maps) - set(scans))
    if missing:
        raise NormscanError(f"{snakemake.input.maps}: scans not in the pack: {', '.join(missing)}")
    histograms, residuals, done = {}, {}, {}
    for name, paths in progress(list(maps.items()), "filtering"):
        scan = scans[name]
        signed, affine = load_nifti(paths["map"])
        brain = load_nifti(scan.brain, np.uint8)[0] > 0
        filtered = filter_map(
            signed,
            brain,
            prior=snakemake.wildcards.prior,
            erosion=params.erosion,
            median=params.median,
        )
        lesion, ignored = load_truth(scan.lesions, params.lesion_labels, brain.shape)
        region = evaluated_region(brain, lesion, ignored)
        histograms[name] = ScoreHistogram.of(filtered, lesion, region)
        path = Path(params.folder, name, f"{name}_desc-filtered_map.nii.gz")
        save_nifti(path, filtered, affine, np.float32)
        residuals[name] = (Residuals.of(signed[region & ~lesion]), Residuals.of(signed[lesion]))
        done[name] = {**paths, "filtered": str(path)}
    save_histograms(snakemake.output.histograms, histograms)
    save_residuals(snakemake.output.residuals, residuals)
    write_json(snakemake.output.manifest, {"prior": snakemake.wildcards.prior, "scans": done})


run(snakemake, main)
