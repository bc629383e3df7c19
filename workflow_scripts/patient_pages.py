"""A page per test scan of a cohort, and an index."""

from pathlib import Path

from job import remove_former, run
from normscan.files import read_json, read_tsv, write_text
from normscan.report.flagged import read_flags
from normscan.report.patients import Approach, Cohort, index_page, scan_pages
from normscan.report.vendor import write_library


def main(snakemake) -> None:
    params, files, out, w = (
        snakemake.params,
        snakemake.input,
        snakemake.output,
        snakemake.wildcards,
    )
    folder = Path(out.page).parent
    approaches = [
        Approach(
            record,
            read_tsv(metrics, dtype={"subject": str, "scan": str}),
            read_json(thresholds).get(params.prior, {}),
        )
        for record, metrics, thresholds in zip(
            params.approaches, files.metrics, files.thresholds, strict=True
        )
    ]
    flagged = read_flags(files.quality).get((w.protocol, w.cohort), {})
    cohort = Cohort(w.cohort, w.protocol, params.prior, params.lesion_labels, approaches, flagged)
    cohort.orientation, cohort.report = params.orientation, params.report
    cohort.read(files.detected)
    write_library(out.viewer)
    library = Path(out.viewer).relative_to(folder).as_posix()
    for scan, page in scan_pages(cohort, folder, library):
        write_text(folder / f"{scan}.html", page)
    write_text(out.page, index_page(cohort))
    remove_former(snakemake)


run(snakemake, main)
