"""Which scans of its folder a cohort takes: by name, and by columns of its table."""

import pytest
from made_cohorts import touch

from normscan.cohorts.load import load_cohort
from normscan.errors import CohortError

PARTICIPANTS = (
    "participant_id\tgroup\tsite\tage\n"
    "sub-01\tcontrol\t1\t31\nsub-02\tms\t2\tn/a\nsub-03\tcis\t1\t40.0\nsub-04\tcontrol\t2\t\n"
)


def load(folder, **entry):
    entry = {"source": "bids", "path": ".", "role": "healthy", **entry}
    return load_cohort("c", entry, folder, results=folder)[0]


def taken(folder, **entry):
    return [scan.id for scan in load(folder, **entry).scans]


def problem(folder, **entry):
    with pytest.raises(CohortError) as error:
        load(folder, **entry)
    (line,) = error.value.problems
    return line


@pytest.fixture
def clinic(tmp_path):
    """Four subjects of one hospital, one of them with two sessions."""
    sessions = ("", "", "", "ses-1", "ses-2")
    for subject, session in zip(("01", "02", "03", "04", "04"), sessions):
        name = "_".join(filter(None, (f"sub-{subject}", session, "FLAIR.nii.gz")))
        touch(tmp_path, "/".join(filter(None, (f"sub-{subject}", session, "anat", name))))
    (tmp_path / "participants.tsv").write_text(PARTICIPANTS)
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"include": ["sub-03", "01"]}, ["sub-01", "sub-03"]),
        ({"include": ["sub-04_ses-2", "sub-02"]}, ["sub-02", "sub-04_ses-2"]),
        ({"where": {"group": "ms"}}, ["sub-02"]),
        ({"where": {"group": ["ms", "cis"]}}, ["sub-02", "sub-03"]),
        ({"where": {"group": "control", "site": 2}}, ["sub-04_ses-1", "sub-04_ses-2"]),
        ({"where": {"age": [31.0, 40]}}, ["sub-01", "sub-03"]),
        ({"where": {"session": 1}}, ["sub-04_ses-1"]),
        ({"where": {"group": "control"}, "exclude": ["sub-04"]}, ["sub-01"]),
        ({"where": {"site": "1"}, "include": ["03", "02"]}, ["sub-03"]),
    ],
)
def test_a_cohort_takes_a_part_of_its_folder(clinic, entry, expected):
    assert taken(clinic, **entry) == expected


def test_where_looks_at_further_columns_of_a_table(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    (tmp_path / "scans.tsv").write_text("subject\tFLAIR\tgroup\n1\ta.nii.gz\thc\n2\tb.nii.gz\tms\n")
    assert taken(tmp_path, source="table", path="scans.tsv", where={"group": "hc"}) == ["sub-1"]
    line = problem(tmp_path, source="table", path="scans.tsv", where={"grp": "hc"})
    assert line == "where: no column 'grp' (did you mean 'group'?); there are: group"


def test_where_needs_a_column(clinic):
    line = problem(clinic, where={"Grup": "ms"})
    assert line == (
        "where: no column 'Grup' (did you mean 'group'?); there are: group, site, age, session"
    )
    (clinic / "participants.tsv").unlink()
    assert problem(clinic, where={"group": "ms"}).endswith("; there are: session")
    line = problem(clinic, where={"group": "ms"}, include=["01"])
    assert line.startswith("where: no column 'group'")


def test_where_without_any_column_says_where_they_would_come_from(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_FLAIR.nii.gz", "IXI002-A-1-T2.nii.gz")
    assert "participants.tsv is missing" in problem(tmp_path, where={"group": "ms"})
    line = problem(tmp_path, source="ixi", where={"group": "ms"})
    assert line.endswith("source 'ixi' has none; name subjects under 'include'")


def test_where_needs_a_value_that_a_row_has(clinic):
    line = problem(clinic, where={"group": ["controls", "ms"]})
    assert line == (
        "where.group: no row has 'controls' (did you mean 'control'?); found: cis, control, ms"
    )
    # A number in quotes is a text.
    assert problem(clinic, where={"age": "31.0"}).startswith("where.age: no row has '31.0'")


def test_include_of_what_is_not_there(clinic):
    line = problem(clinic, include=["sub-1", "02"])
    assert line == "include: no scan or subject 'sub-1' (did you mean 'sub-01'?)"


def test_somebody_must_be_left(clinic):
    assert problem(clinic, where={"group": "ms", "site": 1}) == "where: takes no scan of the cohort"
    assert problem(clinic, include=["01"], exclude=["01"]) == (
        "include, exclude: no scan is left when all of them apply; mend one"
    )


def test_only_what_is_taken_is_looked_at(clinic):
    """A patient without lesion mask is no problem of a cohort that does not take them."""
    touch(clinic, "sub-02/anat/sub-02_label-lesion_mask.nii.gz")
    assert taken(clinic, role="patients", where={"group": "ms"}) == ["sub-02"]
