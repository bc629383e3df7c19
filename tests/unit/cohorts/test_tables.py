"""A cohort from a table: rows become scans, and every problem of a table comes at once."""

import pytest
from made_cohorts import names, touch

from normscan.cohorts.load import load_cohort
from normscan.cohorts.table import read_table
from normscan.errors import CohortError


def table(folder, *rows, name="cohort.tsv", separator="\t"):
    path = folder / name
    path.write_text("".join(separator.join(row) + "\n" for row in rows))
    return path


def test_rows_become_scans(tmp_path):
    path = table(
        tmp_path,
        ("subject", "session", "FLAIR", "T1ce", "brain_mask", "lesion_mask", "age", "site"),
        ("sub-07", "ses-1", "a/f.nii.gz", "a/c.nii", "a/b.nii", "a/l.nii", "31", "A"),
        ("07", "2", "b/f.nii.gz", "n/a", "", "", "n/a", "A"),
        ("", "", "", "", "", "", "", ""),
    )
    scans, problems = read_table(path, "ms")
    assert problems == []
    assert [scan.id for scan in scans] == ["sub-07_ses-1", "sub-07_ses-2"]
    assert names(scans[0], tmp_path) == {
        "FLAIR": "a/f.nii.gz",
        "T1ce": "a/c.nii",
        "brain_mask": "a/b.nii",
        "lesion_mask": "a/l.nii",
    }
    assert names(scans[1], tmp_path) == {"FLAIR": "b/f.nii.gz"}
    assert scans[0].covariates == {"age": "31", "site": "A"}
    assert scans[1].covariates == {"site": "A"}
    assert {scan.cohort for scan in scans} == {"ms"}


def test_paths_may_start_from_another_root(tmp_path):
    (tmp_path / "tables").mkdir()
    path = table(tmp_path / "tables", ("subject", "T1w"), ("1", "data/a.nii"))
    (scan,), problems = read_table(path, "c", root=tmp_path)
    assert problems == []
    assert names(scan, tmp_path) == {"T1w": "data/a.nii"}


@pytest.mark.parametrize("given", ["../b.nii", "/etc/b.nii", "a/../../b.nii"])
def test_paths_stay_inside_the_folder(tmp_path, given):
    path = table(tmp_path, ("subject", "T1w"), ("1", given))
    scans, (problem,) = read_table(path, "c")
    assert scans == []
    for fragment in ("cohort.tsv, line 2: T1w: ", given, "outside of", "must stay inside"):
        assert fragment in problem


@pytest.mark.parametrize(
    "column, right",
    [("flair", "FLAIR"), ("T1", "T1w"), ("T2W", "T2w"), ("brainmask", "brain_mask")],
)
def test_unknown_columns_name_the_nearest(tmp_path, column, right):
    path = table(tmp_path, ("subject", "PD", column), ("1", "a.nii", "b"))
    _, (problem,) = read_table(path, "c")
    assert f"cohort.tsv: column '{column}' is unknown; did you mean '{right}'?" in problem


def test_a_column_of_images_is_no_covariate(tmp_path):
    path = table(tmp_path, ("subject", "PD", "angiography"), ("1", "a.nii", "b.nii.gz"))
    _, (problem,) = read_table(path, "c")
    assert "column 'angiography' holds images but is no contrast" in problem
    assert "allowed: T1w, T2w, FLAIR, T1ce, PD, DWI" in problem


@pytest.mark.parametrize(
    "rows, fragments",
    [
        ([("subject", "T1w")], ["is empty", "one row per scan"]),
        ([], ["no column 'subject'", "its columns: none"]),
        ([("name", "T1w"), ("1", "a.nii")], ["no column 'subject'", "name, T1w"]),
        ([("subject", "age"), ("1", "3")], ["no column of a contrast", "T1w, T2w, FLAIR"]),
        ([("subject", "T1w"), ("", "a.nii")], ["line 2: has no subject"]),
        ([("subject", "T1w"), ("1", "a.nii", "b")], ["line 2: has 3 cells for 2 columns"]),
        ([("subject", "T1w", "T1w"), ("1", "a", "b")], ["column 'T1w' stands 2 times"]),
        ([("subject", "T1w"), ("ms_1/x", "a")], ["subject 'ms_1/x'", "write 'ms1x'"]),
        ([("subject", "session", "T1w"), ("1", "a b", "a")], ["session 'a b'", "write 'ab'"]),
    ],
)
def test_a_problem_names_line_and_column(tmp_path, rows, fragments):
    _, problems = read_table(table(tmp_path, *rows), "c")
    assert "cohort.tsv" in problems[0]
    for fragment in fragments:
        assert fragment in problems[0]


def test_commas_are_recognised(tmp_path):
    path = table(tmp_path, ("subject", "T1w"), ("1", "a.nii"), separator=",")
    _, (problem,) = read_table(path, "c")
    assert "cohort.tsv: its columns are not separated by tabs: subject,T1w" in problem


def test_a_spreadsheet_is_no_table(tmp_path):
    (tmp_path / "cohort.tsv").write_bytes(b"PK\x03\x04\xff\xfe\x80\x81")
    _, (problem,) = read_table(tmp_path / "cohort.tsv", "c")
    assert "not UTF-8 text" in problem


def test_all_problems_of_a_table_come_at_once(tmp_path):
    touch(tmp_path, "a.nii", "l.nii")
    table(
        tmp_path,
        ("subject", "session", "FLAIR", "t1W", "lesion_mask"),
        ("1", "1", "a.nii", "", "l.nii"),
        ("1", "1", "a.nii", "", "l.nii"),
        ("2", "1", "gone.nii", "", "l.nii"),
        ("3", "1", "../out.nii", "", "l.nii"),
        ("4", "1", "a.nii", "", ""),
        ("5", "1", "", "", "l.nii"),
    )
    entry = {"source": "table", "path": "cohort.tsv", "role": "patients"}
    with pytest.raises(CohortError) as error:
        load_cohort("ms", entry, tmp_path, results=tmp_path, needed_contrasts=["FLAIR"])
    assert len(error.value.problems) == 6
    for fragment in (
        "cohort 'ms' has 6 problems",
        "column 't1W' is unknown; did you mean 'T1w'?",
        "line 5: FLAIR: ../out.nii: leads outside",
        "sub-1_ses-1: stands 2 times",
        f"sub-2_ses-1: FLAIR: {tmp_path / 'gone.nii'}: no such file; restore it or exclude",
        "sub-4_ses-1: has no lesion mask",
        "sub-5_ses-1: has no FLAIR, which the protocols need; it has: none",
    ):
        assert fragment in str(error.value)


def test_label_maps_of_anatomy_are_used_where_their_classes_are_declared(tmp_path):
    touch(tmp_path, "f.nii.gz", "a.nii.gz")
    table(tmp_path, ("subject", "FLAIR", "anatomy"), ("1", "f.nii.gz", "a.nii.gz"))
    entry = {"source": "table", "path": "cohort.tsv", "role": "healthy"}

    def scan(**more):
        cohort, _ = load_cohort("c", {**entry, **more}, tmp_path, results=tmp_path)
        return names(cohort.scans[0], tmp_path)

    declared = {"anatomy_classes": {"csf": 1}}
    assert scan(**declared) == {"FLAIR": "f.nii.gz", "anatomy": "a.nii.gz"}
    assert scan() == scan(**declared, role="unlabelled") == {"FLAIR": "f.nii.gz"}
    (tmp_path / "a.nii.gz").unlink()
    with pytest.raises(CohortError, match=r"sub-1: anatomy: .*a\.nii\.gz: no such file"):
        scan(**declared)
