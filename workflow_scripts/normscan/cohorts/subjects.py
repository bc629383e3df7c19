"""Which scans a split of some cohorts holds."""

from collections.abc import Collection
from pathlib import Path

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
    tables : ``cohorts/{cohort}/subjects.tsv`` of each cohort.
    split : train, validation, test or screen.
    cohorts : those to look at; None: all.
    share, seed : nested subsets by subject.
    """
    chosen = []
    for path in tables:
        cohort = Path(path).parent.name
        if cohorts is not None and cohort not in cohorts:
            continue
        table = read_tsv(path, dtype=str)
        table = table[table["split"] == split]
        subjects = sorted(table["subject"].unique())
        if share < 100:
            subjects = subset(subjects, share / 100, seed)
        chosen += [f"{cohort}/{scan}" for scan in table[table["subject"].isin(subjects)]["scan"]]
    return chosen
