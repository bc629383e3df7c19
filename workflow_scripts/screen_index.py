"""A page per screened scan and an index of the cohort."""

from pathlib import Path

from job import remove_former, run
from normscan.files import read_json, write_text, write_tsv
from normscan.report.flagged import read_flags
from normscan.report.screened import joined, read_screened, scan_pages, scan_table
from normscan.report.screening import build_index_page
from normscan.report.unusual import Bundles
from normscan.report.vendor import write_library


def main(snakemake) -> None:
    files, out, params = snakemake.input, snakemake.output, snakemake.params
    cohort, folder = snakemake.wildcards.cohort, Path(out.page).parent
    checked = read_json(files.checked)
    excluded = checked["excluded"].get(cohort, {})
    bundles = Bundles(params.bundles)
    flags = read_flags(files.quality)
    found = read_screened(
        files.results, excluded, params.prior, folder, bundles, flags, params.orientation
    )
    found.report = params.report
    found.warn(checked["warnings"].get(cohort, []))
    write_library(out.viewer)
    library = Path(out.viewer).relative_to(folder).as_posix()
    for scan, page in scan_pages(cohort, found, library):
        write_text(folder / f"{scan}.html", page)
    write_tsv(out.table, joined(found.tables))
    write_tsv(out.scans, scan_table(found))
    bundles.write()
    write_text(out.page, build_index_page(found.index(cohort, params.prior)))
    remove_former(snakemake)


run(snakemake, main)
