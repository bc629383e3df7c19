"""Published results, shipped as data so that a report can put them beside a run."""

from __future__ import annotations

from pathlib import Path

from normscan.errors import NormscanError
from normscan.files import read_json, read_tsv

FOLDER = Path(__file__).parent / "published"


def published_studies() -> list[str]:
    """Keys of the publications whose numbers are shipped: names of files of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.tsv"))


def about_published(study: str) -> dict[str, str]:
    """``name`` of a study as figures call it, and which of its ``tables`` are shipped."""
    return read_json(FOLDER / f"{study}.json")


def load_published(study: str, dataset: str | None = None):
    """Published numbers as a pandas table.

    Parameters
    ----------
    study : one of :func:`published_studies`. ``baur2021``: Tables III to VI of Baur et al.,
        Autoencoders for unsupervised anomaly segmentation in brain MR images, 2021.
    dataset : one of the study's data sets (``MS``, ``GB``, ``MSLUB``, ``MSSEG2015``); None: all.

    Returns
    -------
    table with columns dataset, approach, auroc, auprc, best_dice (oracle), dice_mean, dice_std
    (over patients), l1_normal_mean, l1_normal_std, l1_anomalous_mean, l1_anomalous_std,
    chi_square, source. Dice, areas and distances are in [0, 1]; the L1 errors carry the study's
    own unnamed scale.

    Raises
    ------
    NormscanError : no such study or data set; the message lists what there is.
    """
    path = FOLDER / f"{study}.tsv"
    if not path.exists():
        known = ", ".join(published_studies())
        raise NormscanError(f"no published numbers of '{study}'; there are: {known}")
    table = read_tsv(path)
    if dataset is None:
        return table
    found = table[table["dataset"] == dataset].reset_index(drop=True)
    if found.empty:
        known = ", ".join(table["dataset"].unique())
        raise NormscanError(f"'{study}' has no data set '{dataset}'; there are: {known}")
    return found
