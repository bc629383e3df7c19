"""Which scans a split of some cohorts holds."""

from collections.abc import Collection

from normscan.cohorts.splits import subset
from normscan.files import read_tsv


def chosen_scans(
    tables: list[str],
    split: str,
    cohorts: Collection[str] | None = None,
    *,
    share: float = 100,
    seed: int = 0,
) -> list[str]:
    """``cohort/scan`` of all subjects of a split, or of a share (per cent) of its subjects.

    Parameters
    ----------
    tables : tables of subjects, one of each cohort.
    split : train, validation, test or screen.
    cohorts : those to look at; None: all.
    share, seed : nested subsets by subject.
    """
    chosen = []
    for path in tables:
        table = read_tsv(path, dtype=str)
        table = table[table["split"] == split]
        if cohorts is not None:
            table = table[table["cohort"].isin(cohorts)]
        subjects = sorted(table["subject"].unique())
        if share < 100:
            subjects = subset(subjects, share / 100, seed)
        table = table[table["subject"].isin(subjects)]
        chosen += [f"{cohort}/{scan}" for cohort, scan in zip(table["cohort"], table["scan"])]
    return chosen
