"""Screen the scans of one shard with a fused approach: its parts have screened them already."""

from pathlib import Path
from typing import Any

from job import run
from normscan.errors import BundleError
from normscan.evaluation.healthy_scans import Part
from normscan.files import read_json, write_json
from normscan.postprocessing.exported import read_record
from normscan.postprocessing.exported_fused import PARTS, healthy_file
from normscan.postprocessing.fusing import combined, rarity_map
from normscan.postprocessing.screening import (
    check_files,
    check_scans,
    chosen_point,
    mark,
    shard_record,
)
from normscan.progress import progress
from normscan.slices.index import load_index
from normscan.slices.rows import RowWriter


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    bundle, output = Path(params.bundle), Path(snakemake.output[0])
    record = read_record(bundle / "approach.json", w.protocol)
    check_files(bundle, record)
    index = load_index(files.index)
    check_scans(bundle, record, index)
    rule, point = chosen_point(record, params.prior, bundle)
    screened = [read_json(path) for path in files.screened]
    check_parts(bundle, record, screened)
    settings, post = record["settings"], record["postprocessing"]
    parts = [
        Part(
            path,
            bundle / healthy_file(number, params.prior),
            least_scans=settings["least_scans"] if settings["position"] == "slice" else 0,
            tail=settings["tail"],
            erosion=post["erosion"],
        )
        for number, path in enumerate(files.screened)
    ]
    names, weights = ([one[key] for one in record[PARTS]] for key in ("variant", "weight"))
    scans = [one for one in index.scans if all(one.scan in part.reader.scans for part in parts)]
    written = {}
    with RowWriter(output, scans, index.size) as writer:
        for scan in progress(scans, "screening"):
            # All tables: no scan that is screened is among those that they were counted on.
            maps = [rarity_map(part.filtered(scan), part.tables) for part in parts]
            fused = combined(maps, names, weights, settings["combine"])
            writer.put("filtered", scan.scan, scan.slices_of(fused))
            written[scan.scan] = mark(
                Path(params.folder), scan, params.contrast, fused, point, post["minimum_voxels"]
            )
    write_json(
        output,
        shard_record(
            writer.facts(),
            written,
            record,
            w.variant,
            params.prior,
            rule,
            cohort=w.cohort,
            shard=index.shard,
            contrast=params.contrast,
            index=str(files.index),
            excluded=left_out(screened),
        ),
    )


def check_parts(bundle: Path, record: dict[str, Any], screened: list[dict[str, Any]]) -> None:
    """BundleError when a part was screened with another bundle than it was fused with."""
    for said, found in zip(record[PARTS], screened, strict=True):
        if found["bundle"]["digest"] != said["digest"]:
            raise BundleError(
                f"{bundle}: the bundle of its part '{said['variant']}', seed {said['seed']}, is "
                "not the one that it was exported with; export both again"
            )


def left_out(screened: list[dict[str, Any]]) -> dict[str, str]:
    """Scans that a part did not screen, with its reason."""
    return {scan: why for one in reversed(screened) for scan, why in one["excluded"].items()}


run(snakemake, main)
