"""Published results, shipped as data so that a report can put them beside a run.

A study is two files of the folder ``published``: a table with the columns ``dataset``, ``approach``
and ``source`` and one for every number, as its publication has them; and a JSON that says which of
these columns is compared with which of our metrics. ::

    name      the study, as figures call it
    tables    which of its tables are shipped
    measures  the first is the one by which approaches are ranked. Each has
        label          as tables call it
        column         of the published table; ``spread``: the column of its standard deviation
        metric, rule   of ``metrics.tsv``, level ``cohort``; ``metric_spread``: of the deviation,
                       ``seeds`` where it is over trainings.
                       The rule ``primary`` is the first threshold rule of the protocol.
        per_class      true: the metric is one of classes of lesions, and has a column for each
                       class of a cohort (``evaluation.classes``)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normscan.errors import NormscanError
from normscan.files import read_json, read_tsv

FOLDER = Path(__file__).parent / "published"
PRIMARY = "primary"
SEEDS = "seeds"


def published_studies() -> list[str]:
    """Keys of the publications whose numbers are shipped: names of files of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.tsv"))


def about_published(study: str) -> dict[str, Any]:
    """What the JSON of a study says."""
    return read_json(FOLDER / f"{study}.json")


def load_published(study: str, dataset: str | None = None):
    """Published numbers as a pandas table.

    Parameters
    ----------
    study : one of :func:`published_studies`.
    dataset : one of the study's data sets (of ``baur2021``: ``MS``, ``GB``, ``MSLUB``,
        ``MSSEG2015``); None: all.

    Returns
    -------
    table with columns dataset, approach, those of the study's ``measures``, source; NaN where the
    publication has no number. Dice, areas, rates and distances are in [0, 1]; the L1 errors of
    ``baur2021`` carry the study's own unnamed scale.

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
