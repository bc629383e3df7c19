"""Binarise the filtered maps of one shard at every threshold rule."""

from pathlib import Path

import numpy as np
import pandas

from job import run
from normscan.evaluation.froc import COLUMNS as FROC_COLUMNS
from normscan.evaluation.scoring import scan_scores
from normscan.evaluation.slice_areas import COLUMNS as SLICE_COLUMNS
from normscan.evaluation.slice_areas import slice_areas
from normscan.evaluation.truth import load_brain, load_truth
from normscan.files import read_json, write_json, write_tsv
from normscan.postprocessing.components import COLUMNS as COMPONENT_COLUMNS
from normscan.postprocessing.detections import detect_components, write_volumes
from normscan.postprocessing.slice_rules import operating_point, point_record
from normscan.progress import progress
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

COLUMNS = ["scan", "subject", "threshold_rule", "metric", "value"]
FACTS = ("cohort", "shard", "protocol", "variant", "seed", "prior", "maps", "index")


def main(snakemake) -> None:
    params, files, out = snakemake.params, snakemake.input, snakemake.output
    rules = read_json(files.thresholds)[params.prior]
    thresholds = read_json(files.froc)[params.prior]
    index, reader = load_index(files.index), RowReader(files.filtered)
    maps = RowReader(reader.content["maps"])
    wanted = {"expected": "reconstructions", "uncertainty": "uncertainties"}
    beside = [k for k, kind in wanted.items() if params.volumes[kind] != "none" and maps.has(k)]
    points = {label: operating_point(one) for label, one in rules.items()}
    usable = {label: point for label, point in points.items() if point is not None}
    # The wanted rule when it can be used, else the first that can, else none.
    primary = params.primary if params.primary in usable else next(iter(usable), "")
    rows, counts, components, areas, done = [], [], [], [], {}
    for name in progress(list(reader.scans), "segmenting"):
        done[name] = {}
        if not reader.has("filtered"):
            continue
        scan = index.scan(name)
        filtered = reader.volume("filtered", scan)
        lesion, ignored = load_truth(files.index, scan, params.lesion_labels)
        scores, found = scan_scores(
            filtered, lesion, ignored, np.asarray(scan.affine), usable, thresholds,
            params.minimum_voxels,
        )  # fmt: skip
        rows += [[name, scan.subject, *row] for row in scores]
        counts += [[name, *row] for row in found]
        brain = load_brain(files.index, scan)
        own = slice_areas(filtered, brain, lesion, ignored, np.asarray(scan.affine))
        areas.append(own.assign(scan=name))
        detections = None
        if primary:
            detections = detect_components(
                filtered, usable[primary], params.minimum_voxels, scan, params.contrast
            )
            components.append(detections.components.assign(scan=name))
        done[name] = write_volumes(
            Path(params.folder, name),
            scan,
            params.contrast,
            params.volumes,
            found=detections,
            filtered=filtered,
            **{kind: maps.volume(kind, scan) for kind in beside},
        )
    write_tsv(out.scores, pandas.DataFrame(rows, columns=COLUMNS))
    write_tsv(out.froc, pandas.DataFrame(counts, columns=FROC_COLUMNS))
    write_tsv(out.components, joined(components, ["scan", *COMPONENT_COLUMNS]))
    write_tsv(out.slices, joined(areas, SLICE_COLUMNS))
    write_json(
        out.manifest,
        {
            **{key: value for key, value in reader.content.items() if key in FACTS},
            "filtered": str(files.filtered),
            "contrast": params.contrast,
            "rule": primary,
            **(point_record(rules[primary]) if primary else {"threshold": None}),
            "points": {label: point_record(rules[label]) for label in usable},
            "minimum_voxels": params.minimum_voxels,
            "components": str(out.components),
            "scans": done,
        },
    )


def joined(tables: list[pandas.DataFrame], columns: list[str]) -> pandas.DataFrame:
    """Rows of all scans, each with its scan."""
    tables = [table for table in tables if len(table)]
    if not tables:
        return pandas.DataFrame(columns=columns)
    return pandas.concat(tables, ignore_index=True)[columns]


run(snakemake, main)
