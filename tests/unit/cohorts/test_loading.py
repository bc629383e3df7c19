"""From a cohort's entry to its scans: what is kept, what is refused, and in which words."""

import subprocess
import sys
from pathlib import Path

import pytest
from made_cohorts import names, touch

from normscan.cohorts.load import load_cohort
from normscan.errors import CohortError


def load(folder, needed=(), on_bad_scan="stop", **entry):
    entry = {"source": "bids", "path": ".", "role": "healthy", **entry}
    return load_cohort(
        "c",
        entry,
        folder,
        results=folder,
        needed_contrasts=list(needed),
        on_bad_scan=on_bad_scan,
    )


def refused(folder, *fragments, **options):
    """All problems of a cohort that is refused; every fragment stands in the message."""
    with pytest.raises(CohortError) as error:
        load(folder, **options)
    for fragment in ("cohort 'c' has ", *fragments):
        assert fragment in str(error.value)
    return error.value.problems


@pytest.fixture
def bids(tmp_path):
    """Three subjects with FLAIR and T1w, all with lesion masks."""
    for subject in ("01", "02", "03"):
        ends = ("FLAIR", "T1w", "label-lesion_mask", "desc-brain_mask")
        touch(tmp_path, *(f"sub-{subject}/anat/sub-{subject}_{end}.nii.gz" for end in ends))
    return tmp_path


def test_what_the_entry_says_is_what_the_cohort_is(bids):
    cohort, excluded = load(
        bids,
        role="patients",
        prior="hyperintense",
        skull_stripped=True,
        space="sri24",
        lesion_classes={"core": 1, "rest": [2, 3]},
    )
    assert excluded == {}
    assert (cohort.name, cohort.role, cohort.prior) == ("c", "patients", "hyperintense")
    assert (cohort.skull_stripped, cohort.space) == (True, "sri24")
    assert cohort.lesion_classes == {"core": 1, "rest": [2, 3]}
    assert cohort.ignored_labels == ()
    assert [scan.id for scan in cohort.scans] == ["sub-01", "sub-02", "sub-03"]
    assert list(names(cohort.scans[0], bids)) == ["FLAIR", "T1w", "brain_mask", "lesion_mask"]


def test_ignored_labels_are_of_no_class(bids, tmp_path):
    classes = {"core": 1, "rest": [2, 3]}
    cohort, _ = load(bids, role="patients", lesion_classes=classes, ignored_labels=[5])
    assert cohort.ignored_labels == (5,)
    with pytest.raises(CohortError, match=r"ignored_labels: \[3\] stand in lesion_classes as well"):
        load(bids, role="patients", lesion_classes=classes, ignored_labels=[3, 5])
    with pytest.raises(CohortError, match="ignored_labels: without lesion_classes"):
        load(bids, role="patients", ignored_labels=[5])


@pytest.mark.parametrize(("own", "ignored"), [({}, (2,)), ({"wmh": 1, "other": 2}, ())])
def test_a_layout_ignores_what_no_class_seeks(tmp_path, own, ignored):
    touch(tmp_path, *(f"Utrecht/0/{name}.nii.gz" for name in ("pre/FLAIR", "wmh")))
    entry = {"lesion_classes": own} if own else {}
    cohort, _ = load(tmp_path, source="wmh", role="patients", **entry)
    assert cohort.ignored_labels == ignored


def test_defaults(bids):
    cohort, _ = load(bids)
    assert (cohort.prior, cohort.skull_stripped, cohort.space) == ("none", False, "")
    assert cohort.lesion_classes == {}


def test_an_entry_overrides_the_defaults_of_a_layout(tmp_path):
    touch(tmp_path, "patient01/patient01_FLAIR.nii.gz")
    cohort, _ = load(tmp_path, source="mslub", role="unlabelled", skull_stripped=True)
    assert (cohort.role, cohort.skull_stripped) == ("unlabelled", True)
    assert cohort.prior == "hyperintense"


@pytest.mark.parametrize("role", ["healthy", "unlabelled"])
def test_lesion_masks_are_for_patients_only(bids, role):
    cohort, _ = load(bids, role=role)
    assert [scan.lesion_mask for scan in cohort.scans] == [""] * 3
    assert all(scan.brain_mask for scan in cohort.scans)


def test_contrasts_restrict(bids):
    cohort, _ = load(bids, contrasts=["T1w"])
    assert {tuple(scan.images) for scan in cohort.scans} == {("T1w",)}


@pytest.mark.parametrize("given", ["sub-02", "02"])
def test_exclude_a_subject(bids, given):
    touch(bids, "sub-04/ses-1/anat/sub-04_ses-1_T1w.nii.gz")
    cohort, _ = load(bids, exclude=[given])
    assert [scan.id for scan in cohort.scans] == ["sub-01", "sub-03", "sub-04_ses-1"]


def test_exclude_a_scan_keeps_the_subjects_other_sessions(bids):
    touch(bids, *(f"sub-04/ses-{n}/anat/sub-04_ses-{n}_T1w.nii.gz" for n in (1, 2)))
    cohort, _ = load(bids, exclude=["sub-04_ses-1"])
    assert "sub-04_ses-2" in {scan.id for scan in cohort.scans}
    assert "sub-04_ses-1" not in {scan.id for scan in cohort.scans}


def test_excluding_what_is_not_there_names_the_nearest(bids):
    refused(bids, "exclude: no scan or subject 'sub-1' (did you mean 'sub-01'?)", exclude=["sub-1"])


def test_excluding_everything_is_refused(bids):
    refused(bids, "exclude: leaves out every scan", exclude=["01", "02", "03"])


def test_missing_folder_and_table(tmp_path):
    refused(tmp_path, f"path: {tmp_path / 'gone'}: no such folder", path="gone")
    refused(tmp_path, f"path: {tmp_path / 'gone'}: no such folder", path="gone", source="ixi")
    refused(tmp_path, f"path: {tmp_path / 'a.tsv'}: no such table", path="a.tsv", source="table")


def test_nothing_found(tmp_path):
    refused(tmp_path, f"{tmp_path}: no image found; expected sub-*/")


@pytest.mark.parametrize(
    "entry, fragment",
    [
        ({"source": "bidds"}, "source: found 'bidds' (did you mean 'bids'?); allowed: table, bids"),
        ({"source": "brats2020"}, "source: found 'brats2020' (did you mean 'brats'?)"),
        ({"role": "patient"}, "role: found 'patient' (did you mean 'patients'?)"),
        ({"role": ""}, "role: is missing; allowed: healthy, patients, unlabelled"),
        ({"prior": "bright"}, "prior: found 'bright'"),
        ({"path": ""}, "path: is missing; source 'bids' needs it"),
        (
            {"contrasts": ["flair"]},
            "contrasts: unknown contrast 'flair' (did you mean 'FLAIR'?); allowed: T1w, T2w, FLAIR",
        ),
    ],
)
def test_wrong_values_name_key_value_and_choice(bids, entry, fragment):
    assert len(refused(bids, fragment, **entry)) == 1


def test_wrong_values_come_together(bids):
    assert len(refused(bids, source="x", role="y", prior="z", contrasts=["FLIAR", "T1"])) == 5


def test_a_scan_without_a_needed_contrast(bids):
    (bids / "sub-02/anat/sub-02_FLAIR.nii.gz").unlink()
    (problem,) = refused(bids, needed=["FLAIR", "T1w"])
    assert problem == "sub-02: has no FLAIR, which the protocols need; it has: T1w"


def test_a_contrast_left_out_by_the_entry_is_not_there(bids):
    found = refused(bids, needed=["FLAIR"], contrasts=["T1w"])
    assert found[0] == "sub-01: has no FLAIR, which the protocols need; it has: T1w"
    found = refused(bids, contrasts=["T2w"])
    assert found[0] == "sub-01: has no image of a contrast that is used; see 'contrasts'"


def test_patients_without_lesion_mask(bids):
    (bids / "sub-03/anat/sub-03_label-lesion_mask.nii.gz").unlink()
    (problem,) = refused(bids, role="patients")
    assert problem.startswith("sub-03: has no lesion mask")
    assert "or use 'unlabelled'" in problem


def test_a_broken_link(bids):
    path = bids / "sub-03/anat/sub-03_T1w.nii.gz"
    path.unlink()
    path.symlink_to(bids / "gone.nii.gz")
    (problem,) = refused(bids)
    assert problem == f"sub-03: T1w: {path}: broken link; restore it or exclude the scan"


def test_all_problems_of_all_scans_come_at_once(bids):
    (bids / "sub-01/anat/sub-01_FLAIR.nii.gz").unlink()
    (bids / "sub-03/anat/sub-03_label-lesion_mask.nii.gz").unlink()
    touch(bids, "sub-02/anat/sub-05_T1w.nii.gz")
    found = refused(bids, needed=["FLAIR"], role="patients", exclude=["99"])
    assert len(found) == 4


def test_on_bad_scan_exclude_goes_on_and_says_why(bids):
    (bids / "sub-02/anat/sub-02_FLAIR.nii.gz").unlink()
    cohort, excluded = load(bids, needed=["FLAIR"], on_bad_scan="exclude")
    assert [scan.id for scan in cohort.scans] == ["sub-01", "sub-03"]
    assert excluded == {"sub-02": "has no FLAIR, which the protocols need; it has: T1w"}


def test_on_bad_scan_exclude_needs_something_to_go_on_with(bids):
    assert len(refused(bids, needed=["T2w"], on_bad_scan="exclude")) == 3


def test_a_wrong_entry_is_no_bad_scan(bids):
    refused(bids, "exclude: no scan", exclude=["99"], on_bad_scan="exclude")


class TestSimulated:
    def test_scans_are_planned_without_any_file(self, tmp_path):
        settings = {"subjects": 11, "lesion": "ms", "contrasts": ["T1w", "FLAIR"]}
        cohort, _ = load(tmp_path, source="simulated", role="patients", simulation=settings)
        assert [scan.subject for scan in cohort.scans[:2]] == ["01", "02"]
        assert len(cohort.scans) == 11
        assert names(cohort.scans[10], tmp_path / "simulated" / "c") == {
            "T1w": "sub-11/anat/sub-11_T1w.nii.gz",
            "FLAIR": "sub-11/anat/sub-11_FLAIR.nii.gz",
            "lesion_mask": "derivatives/truth/sub-11/anat/sub-11_label-lesion_dseg.nii.gz",
        }
        assert not (tmp_path / "simulated").exists()

    def test_labels_stay_when_the_cohort_grows(self, tmp_path):
        few, _ = load(tmp_path, source="simulated", simulation={"subjects": 5})
        many, _ = load(tmp_path, source="simulated", simulation={"subjects": 120})
        assert many.scans[:5] == few.scans
        assert many.scans[-1].subject == "120"

    def test_without_lesions_there_is_no_mask(self, tmp_path):
        cohort, _ = load(tmp_path, source="simulated", simulation={"subjects": 1, "lesion": "none"})
        assert cohort.scans[0].lesion_mask == ""
        refused(tmp_path, "has no lesion mask", source="simulated", role="patients")

    @pytest.mark.parametrize(
        "settings, fragment",
        [
            ({"lesions": "ms"}, "simulation.lesions: unknown key (did you mean 'lesion'?)"),
            ({"lesion": "cyst"}, "simulation.lesion: found 'cyst'; allowed: none, ms, tumour"),
            ({"subjects": 0}, "simulation.subjects: found 0; must be a whole number of at least 1"),
            ({"subjects": "many"}, "simulation.subjects: found 'many'; must be a whole number"),
            ({"contrasts": ["T3"]}, "simulation.contrasts: unknown contrast 'T3'; allowed: T1w"),
        ],
    )
    def test_wrong_settings(self, tmp_path, settings, fragment):
        assert len(refused(tmp_path, fragment, source="simulated", simulation=settings)) == 1

    def test_a_simulated_cohort_without_a_needed_contrast(self, tmp_path):
        found = refused(tmp_path, source="simulated", needed=["T1ce"], simulation={"subjects": 2})
        assert found[0].startswith("sub-01: has no T1ce, which the protocols need; it has: ")


def test_planning_imports_nothing_heavy():
    code = (
        "import sys, normscan.cohorts.load, normscan.cohorts.shards, normscan.cohorts.splits; "
        "print(sorted({'torch', 'ants', 'scipy', 'nibabel', 'pandas'} & set(sys.modules)))"
    )
    folder = Path(__file__).resolve().parents[3] / "workflow_scripts"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
