"""Fuse the filtered maps of several approaches of one shard, and count the scores that result."""

import logging

from job import run
from normscan.evaluation.counted import Counted
from normscan.evaluation.healthy_scans import Part
from normscan.evaluation.truth import load_brain
from normscan.files import write_json
from normscan.postprocessing.fusing import combined, rarity_map
from normscan.progress import progress
from normscan.slices.index import load_index
from normscan.slices.rows import RowWriter

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    files, params, out, w = (
        getattr(snakemake, name) for name in ("input", "params", "output", "wildcards")
    )
    parts = [
        Part(manifest, healthy, **params.settings, erosion=params.erosion)
        for manifest, healthy in zip(files.filtered, files.healthy, strict=True)
    ]
    index = load_index(files.index)
    names, weights = ([one[key] for one in params.fused] for key in ("variant", "weight"))
    # An approach without a model has maps of scans that the others' models were trained on.
    named = [
        name for name in parts[0].reader.scans if all(name in one.reader.scans for one in parts)
    ]
    scans = [index.scan(name) for name in named]
    counted = Counted(files.index, params.lesion_labels, params.lesion_classes)
    with RowWriter(out.manifest, scans, index.size) as writer:
        for scan in progress(scans, "fusing"):
            maps = [rarity_map(one.filtered(scan), one.tables_for(scan)) for one in parts]
            fused = combined(maps, names, weights, params.combine)
            writer.put("filtered", scan.scan, scan.slices_of(fused))
            counted.add(scan, fused, fused, load_brain(files.index, scan))
    counted.save(out.histograms, out.residuals, cohort=w.cohort, prior=w.prior)
    alone = sorted({name for one in parts for name in one.compared_with_itself})
    if alone:
        LOG.warning(
            "%s: no other held-out healthy subject to compare with, so compared with itself; "
            "thresholds of a fused approach ask for at least two",
            ", ".join(alone),
        )
    write_json(
        out.manifest,
        {
            **{key: w[key] for key in ("cohort", "prior", "protocol", "variant", "shard")},
            "seed": int(w.seed),
            # Nothing is expected of a fused map; it stands for itself.
            "maps": str(out.manifest),
            "index": str(files.index),
            "parts": [{**said, **_facts(part)} for said, part in zip(params.fused, parts)],
            "compared_with_itself": alone,
            **writer.facts(),
        },
    )


def _facts(part: Part) -> dict[str, int]:
    """How many healthy scans stand behind the tail probabilities of a part, and of which slices."""
    return {
        "healthy_scans": part.scans,
        "healthy_voxels": part.healthy.voxels,
        "slices_of_their_own": int(part.own.sum()),
    }


run(snakemake, main)
