"""Filter the anomaly maps of one shard and count their scores."""

from job import run
from normscan.evaluation.counted import Counted
from normscan.evaluation.truth import load_brain
from normscan.files import write_json
from normscan.postprocessing.filter import filter_map
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
    counted = Counted(files.index, params.lesion_labels, params.lesion_classes)
    with RowWriter(out.manifest, scans, index.size) as writer:
        for scan in progress(scans, "filtering"):
            if maps.has("map"):
                signed, brain = maps.volume("map", scan), load_brain(files.index, scan)
                filtered = filter_map(
                    signed, brain, prior=prior, erosion=params.erosion, median=params.median
                )
                writer.put("filtered", scan.scan, scan.slices_of(filtered))
                counted.add(scan, filtered, signed, brain)
            if scores := maps.scans[scan.scan].get("slice_scores"):
                counted.add_slices(scan, scores)
    facts = {"cohort": w.cohort, "prior": w.prior}
    counted.save(out.histograms, out.residuals, **facts)
    facts |= {"protocol": w.protocol, "variant": w.variant, "seed": int(w.seed), "shard": w.shard}
    facts |= {"applied_prior": prior, "maps": str(files.maps), "index": str(files.index)}
    write_json(out.manifest, {**facts, **writer.facts()})


run(snakemake, main)
