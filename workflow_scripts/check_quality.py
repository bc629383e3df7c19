"""Quality control of a cohort after preprocessing: numbers, outliers, a picture per scan."""

import logging
from pathlib import Path

import numpy as np
import pandas

from job import run
from normscan.evaluation.lost_lesions import lost_lesions
from normscan.figures.quality import quality_overview
from normscan.figures.style import save_figure
from normscan.files import atomic_path, read_json, write_json, write_tsv
from normscan.preprocessing.quality import flag_outliers, measure, quality_slices
from normscan.preprocessing.shards import prepared_scans
from normscan.progress import progress

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    params, w = snakemake.params, snakemake.wildcards
    folder = Path(params.folder)
    scans = [one for path in snakemake.input.manifests for one in prepared_scans(read_json(path))]
    rows, pictures, lost = [], [], []
    for prepared in progress(sorted(scans, key=lambda one: one.scan), "quality"):
        numbers = measure(prepared, params.atlases, params.reference, params.lesion_labels)
        if prepared.lesions:
            count, ml = lost_lesions(prepared.lesions, chosen=params.lesion_labels, **params.slices)
            numbers |= {"lost_lesions": count, "lost_lesion_ml": ml}
            lost += [{"scan": prepared.scan, "lesions": count, "ml": ml}] if count else []
        rows.append({"scan": prepared.scan, **numbers})
        picture = folder / f"{prepared.scan}.png"
        save_picture(quality_slices(prepared, params.atlases), picture)
        pictures.append({"scan": prepared.scan, "png": str(picture)})
    table = pandas.DataFrame(rows)
    flagged = {scan: "; ".join(reasons) for scan, reasons in flag_outliers(table).items()}
    for scan, reason in flagged.items():
        LOG.warning("flagged by quality control, protocol %s: %s: %s", w.protocol, scan, reason)
    png, svg = save_figure(
        quality_overview(table, flagged=list(flagged), title=w.cohort), folder / "overview"
    )
    write_tsv(snakemake.output.table, table)
    write_json(
        snakemake.output.flagged,
        {
            "cohort": w.cohort,
            "protocol": w.protocol,
            "scans": [row["scan"] for row in rows],
            "lost_lesions": lost,
            "flagged": [{"scan": scan, "reason": reason} for scan, reason in flagged.items()],
            "overview": str(png),
            "overview_svg": str(svg),
            "pictures": pictures,
        },
    )


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write an RGB array as PNG."""
    from skimage.io import imsave

    with atomic_path(path) as temporary:
        imsave(temporary, picture, check_contrast=False)


run(snakemake, main)
