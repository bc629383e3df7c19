"""Filter the anomaly maps of one shard and count their scores."""

import numpy as np

from job import run
from normscan.evaluation.region import evaluated_region
from normscan.evaluation.residuals import Residuals, save_residuals
from normscan.evaluation.truth import load_brain, load_labels, load_truth, slice_truth
from normscan.files import write_json
from normscan.postprocessing.class_counts import ClassCounts, class_arrays
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.histograms import ScoreHistogram, save_histograms
from normscan.postprocessing.slice_scores import SliceScores, slice_arrays
from normscan.progress import progress
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader, RowWriter


def main(snakemake) -> None:
    files, params, out, w = (
        getattr(snakemake, name) for name in ("input", "params", "output", "wildcards")
    )
    maps, index = RowReader(files.maps), load_index(files.index)
    scans = [index.scan(name) for name in maps.scans]
    prior = params.prior
    histograms, residuals, slices, classes = {}, {}, {}, {}
    with RowWriter(out.manifest, scans, index.size) as writer:
        for scan in progress(scans, "filtering"):
            if maps.has("map"):
                signed, brain = maps.volume("map", scan), load_brain(files.index, scan)
                filtered = filter_map(
                    signed, brain, prior=prior, erosion=params.erosion, median=params.median
                )
                writer.put("filtered", scan.scan, scan.slices_of(filtered))
                lesion, ignored = load_truth(files.index, scan, params.lesion_labels)
                region = evaluated_region(brain, lesion, ignored)
                histograms[scan.scan] = ScoreHistogram.of(filtered, lesion, region)
                if params.lesion_classes:
                    labels = load_labels(files.index, scan)
                    classes[scan.scan] = ClassCounts.of(
                        filtered, labels, brain, params.lesion_classes
                    )
                normal, anomalous = signed[region & ~lesion], signed[lesion]
                residuals[scan.scan] = (Residuals.of(normal), Residuals.of(anomalous))
            if scores := maps.scans[scan.scan].get("slice_scores"):
                truth = slice_truth(files.index, scan, params.lesion_labels)
                slices[scan.scan] = SliceScores.of(scores, *truth)
    facts = {"cohort": w.cohort, "prior": w.prior}
    save_histograms(
        out.histograms,
        histograms,
        **{name: np.array(value) for name, value in facts.items()},
        **slice_arrays(slices),
        **class_arrays(classes),
    )
    save_residuals(out.residuals, residuals)
    facts |= {"protocol": w.protocol, "variant": w.variant, "seed": int(w.seed), "shard": w.shard}
    facts |= {"applied_prior": prior, "maps": str(files.maps), "index": str(files.index)}
    write_json(out.manifest, {**facts, **writer.facts()})


run(snakemake, main)
