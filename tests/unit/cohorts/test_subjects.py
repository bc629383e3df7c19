"""Which scans of the tables of subjects are chosen."""

import pandas

from normscan.cohorts.subjects import chosen_scans


def table(folder, cohort: str, subjects: int) -> str:
    """Every third subject validates; each has two sessions."""
    rows = [
        {
            "cohort": cohort,
            "scan": f"sub-{number}_ses-{session}",
            "subject": str(number),
            "split": "validation" if number % 3 == 0 else "train",
        }
        for number in range(subjects)
        for session in (1, 2)
    ]
    # The table says whose it is; where it stands does not matter.
    path = folder / f"table-{cohort}.tsv"
    pandas.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return str(path)


def test_scans_of_a_split_carry_their_cohort(tmp_path):
    tables = [table(tmp_path, "b", 3), table(tmp_path, "a", 4)]
    assert chosen_scans(tables, "validation") == [
        "b/sub-0_ses-1",
        "b/sub-0_ses-2",
        "a/sub-0_ses-1",
        "a/sub-0_ses-2",
        "a/sub-3_ses-1",
        "a/sub-3_ses-2",
    ]
    assert chosen_scans(tables, "test") == []
    assert chosen_scans(tables, "validation", ["b"]) == ["b/sub-0_ses-1", "b/sub-0_ses-2"]


def test_a_share_is_one_of_subjects_with_all_their_scans(tmp_path):
    path = table(tmp_path, "a", 30)
    half, whole = (chosen_scans([path], "train", share=share, seed=1) for share in (50, 100))
    assert len(half) == 20 and len(whole) == 40 and set(half) < set(whole)
    subjects = {one.split("_")[0] for one in half}
    assert len(subjects) == 10
