"""Figures of one cohort under one protocol, as PNG and SVG, with a list for the report."""

from pathlib import Path

from job import run
from normscan.evaluation.fidelity import load_example
from normscan.figures.classes import add_class_boxes, add_class_curves, add_class_slices
from normscan.figures.cohort import (
    SPLIT,
    add_boxes,
    add_curves,
    add_fidelity,
    add_fidelity_example,
    add_residuals,
    add_scores,
    add_slices,
    first_seeds,
    titled,
)
from normscan.figures.collection import Figures
from normscan.figures.contrasts import add_contrasts
from normscan.figures.looks import looks
from normscan.figures.panels import add_panels, first_of_kinds
from normscan.figures.slice_areas import add_slice_areas
from normscan.files import read_json, read_tsv, write_json


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    first = first_seeds(params.approaches)
    curves = {
        one["title"]: read_json(path).get(SPLIT)
        for one, path in zip(params.approaches, files.curves)
        if first[one["variant"]] is one
    }
    # An approach that scores slices only has no curves of voxels.
    curves = {title: found for title, found in curves.items() if found}
    metrics = read_tsv(files.metrics, dtype={"subject": str, "scan": str})
    metrics = titled(metrics, w.cohort, w.protocol, first)
    figures = Figures(Path(params.folder), looks(params.approaches), params.orientation)
    add_curves(figures, w.cohort, curves)
    add_scores(figures, w.cohort, metrics, first)
    add_residuals(figures, w.cohort, curves, metrics)
    areas = {
        one["title"]: read_tsv(path)
        for one, path in zip(params.approaches, files.slices)
        if first[one["variant"]] is one
    }
    add_slice_areas(figures, w.cohort, areas, SPLIT)
    add_contrasts(figures, w.cohort, files.filtered, metrics, params.lesion_labels)
    add_fidelity(figures, w.cohort, metrics)
    for path in files.fidelity:
        add_fidelity_example(figures, w.cohort, load_example(path))
    for one in first.values():
        labels = params.lesion_labels
        add_slices(figures, w.cohort, w.protocol, files.filtered, one, metrics, labels)
    for one in first_of_kinds(first.values()):
        labels = params.lesion_labels
        add_panels(figures, w.cohort, files.filtered, one, metrics, labels)
    add_boxes(figures, w.cohort, w.protocol, files.filtered, first, metrics, params.lesion_labels)
    add_class_curves(figures, w.cohort, curves)
    add_class_boxes(figures, w.cohort, metrics, params.lesion_classes)
    for one in first_of_kinds(first.values()) if params.lesion_classes else ():
        add_class_slices(figures, w.cohort, files.filtered, one, metrics, params.lesion_classes)
    listed = {"cohort": w.cohort, "protocol": w.protocol, "figures": figures.done}
    write_json(snakemake.output[0], listed)


run(snakemake, main)
