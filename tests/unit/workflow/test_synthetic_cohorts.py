"""Synthetic cohorts when a run is planned: hosts leave their cohort, lesions are known."""

from types import SimpleNamespace

import pytest
import yaml
from made_studies import PROTOCOL, put_down

from normscan.cohorts.plan_synthetic import TRIES, assigned_donors, chosen_hosts
from normscan.cohorts.scans import labels_of
from normscan.errors import ConfigError
from normscan.workflow.configuration import load_study
from normscan.workflow.plan import Plan
from normscan.workflow.sizes import Sizes

SYNTHETIC = {"hosts": "ixi", "subjects": 2, "lesions": "gliomas"}
SIMULATED = {"role": "healthy", "source": "simulated", "simulation": {"subjects": 9}}
SIMULATED["skull_stripped"] = True


def load(folder, hosts=12, more=(), changes=None, **entries):
    """A study of healthy subjects, patients, and synthetic cohorts (name -> their settings)."""
    (folder / "p.yaml").write_text(yaml.safe_dump({**PROTOCOL, **(changes or {})}))
    cohorts = {
        "ixi": put_down(folder, "ixi", "healthy", hosts),
        "gliomas": put_down(folder, "gliomas", "patients", 5),
        **dict(more),
    }
    for name, settings in entries.items():
        about = settings.pop("entry", {})
        cohorts[name] = {"source": "synthetic", "synthetic": settings, "validation": 0, **about}
    config = {"protocols": [str(folder / "p.yaml")], "cohorts": cohorts, "shard_size": 2}
    return load_study(config, folder, folder)


def subjects(study, cohort):
    return {scan.subject for scan in study.cohorts[cohort].scans}


def refused(folder, settings, **options):
    with pytest.raises(ConfigError) as error:
        load(folder, pasted={**SYNTHETIC, **settings}, **options)
    return str(error.value)


def test_hosts_leave_the_healthy_cohort(tmp_path):
    study = load(tmp_path, pasted=dict(SYNTHETIC))
    hosts = subjects(study, "pasted")
    assert len(hosts) == 2 and len(subjects(study, "ixi")) == 10
    assert not hosts & subjects(study, "ixi")
    cohort = study.cohorts["pasted"]
    assert (cohort.role, list(study.cohorts)) == ("patients", ["ixi", "gliomas", "pasted"])
    for scan in cohort.scans:
        assert scan.images["T1w"].startswith(str(tmp_path / "results/synthetic/pasted/sub-"))
        assert scan.lesion_mask and set(scan.images) == {"T1w", "FLAIR"}


def test_no_two_synthetic_cohorts_share_a_host_and_a_further_one_moves_none(tmp_path):
    alone = subjects(load(tmp_path, pasted=dict(SYNTHETIC)), "pasted")
    balls = {"hosts": "ixi", "subjects": 3, "masks": "spheres"}
    study = load(tmp_path, pasted=dict(SYNTHETIC), balls=balls)
    assert subjects(study, "pasted") == alone
    assert len(subjects(study, "balls")) == 3 and not subjects(study, "balls") & alone
    assert len(subjects(study, "ixi")) == 7


def test_it_is_what_its_hosts_and_lesions_are(tmp_path):
    about = {"skull_stripped": True, "space": "icbm152"}
    hosts = {**put_down(tmp_path, "oasis", "healthy", 6), **about}
    classes = {"tumour": [1, 4]}
    lesions = {**put_down(tmp_path, "hgg", "patients", 5), "lesion_classes": classes, **about}
    more = {"oasis": hosts, "hgg": lesions}
    settings = {"hosts": "oasis", "subjects": 1, "lesions": "hgg"}
    found = load(tmp_path, more=more, pasted=settings).cohorts["pasted"]
    assert (found.skull_stripped, found.space) == (True, "icbm152")
    assert found.lesion_classes == classes
    own = {**settings, "entry": {"lesion_classes": {"rim": 4}}}
    found = load(tmp_path, more=more, pasted=own).cohorts["pasted"]
    assert found.lesion_classes == {"rim": 4}
    # What is pasted and not sought counts on neither side.
    assert set(found.ignored_labels) == labels_of(classes) - {4}


def test_one_more_subject_moves_one_host_at_most():
    for count in range(10, 40):
        labels = [f"{number:02d}" for number in range(count)]
        before = set(chosen_hosts(labels, 5, 0, "pasted"))
        after = set(chosen_hosts([*labels, "new"], 5, 0, "pasted"))
        assert before - after == set() or (len(before - after) == 1 and "new" in after)
    assert set(chosen_hosts(labels, 4, 0, "pasted")) < before
    assert set(chosen_hosts(labels, 5, 1, "pasted")) != before


def test_donors_come_again_only_when_all_have_come():
    hosts, donors = [f"h{n}" for n in range(20)], [f"d{n}" for n in range(8)]
    found = assigned_donors(hosts, donors, 0)
    first = [order[0] for order in found.values()]
    counts = [first.count(one) for one in donors]
    assert max(counts) - min(counts) <= 1
    assert all(len(set(order)) == len(order) == TRIES for order in found.values())
    assert found == assigned_donors(hosts, donors[::-1], 0) != assigned_donors(hosts, donors, 1)


def test_one_more_donor_changes_few_pairs():
    hosts, donors = [f"h{n}" for n in range(20)], [f"d{n}" for n in range(30)]
    before, after = (assigned_donors(hosts, donors[:count], 0) for count in (29, 30))
    assert sum(before[one][0] != after[one][0] for one in hosts) <= 4


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"hosts": "ixl"}, "synthetic.hosts: 'ixl' is no cohort with scans of its own; of role "),
        ({"hosts": ""}, "synthetic.hosts: is missing; it names a cohort of role 'healthy'"),
        ({"hosts": "gliomas"}, "synthetic.hosts: 'gliomas' has role 'patients'"),
        ({"lesions": "ixi"}, "synthetic.lesions: 'ixi' has role 'healthy'; it must be 'patients'"),
        ({"lesions": "pasted"}, "synthetic.lesions: 'pasted' is this cohort itself"),
        ({"subjects": 12}, "cohort 'ixi' has 12 subject(s), some of which must stay to train"),
        ({"subjects": 11}, "config.cohorts.ixi: 1 usable subject(s) are not enough"),
        ({"subjects": 0}, "synthetic.subjects: found 0"),
        ({"lesion": "x"}, "synthetic.lesion: unknown key (did you mean 'lesions'?)"),
        ({"masks": "spheres"}, "synthetic: give either 'lesions'"),
        ({"lesions": ""}, "synthetic: give either 'lesions'"),
        ({"lesions": "", "masks": "no/*.nii.gz"}, "no/*.nii.gz: no NIfTI file of that name"),
        ({"contrast": {"FLAIR": 1}}, "synthetic.contrast: has no meaning beside 'lesions'"),
        ({"intensities": "above", "blend": "add"}, "blend: has no meaning beside 'intensities'"),
        ({"mass_effect": [6, 2]}, "synthetic.mass_effect: found [6, 2]; must be the smallest"),
        ({"lesions": "", "masks": "spheres", "blend": "add"}, "synthetic.blend: has no meaning"),
        ({"lesions": "", "masks": "spheres", "radius": [9, 3]}, "synthetic.radius: found [9, 3]"),
        ({"lesions": "", "masks": "spheres", "contrast": {"FLAIR": 0}}, "contrast.FLAIR: found 0"),
        ({"lesion_contrasts": {"T1": "T1w"}}, "lesion_contrasts: unknown contrast 'T1'"),
        ({"lesion_contrasts": {"T1w": "PD", "FLAIR": "PD"}}, "no patient of 'gliomas' shows all"),
        ({"atlas": "robx"}, "config.cohorts.pasted.synthetic.atlas: atlas: unknown atlas 'robx'"),
        ({"entry": {"role": "healthy"}}, "role: found 'healthy'; a synthetic cohort has role"),
        ({"entry": {"space": "sri24"}}, "space: is that of the hosts in a synthetic cohort"),
    ],
)
def test_what_cannot_be_is_said_when_the_run_is_planned(tmp_path, settings, expected):
    assert expected in refused(tmp_path, settings)


def test_an_atlas_of_a_brain_has_no_place_for_heads(tmp_path):
    heads = {**put_down(tmp_path, "oasis", "healthy", 6), "skull_stripped": False}
    settings = {"hosts": "oasis", "atlas": "icbm152"}
    expected = "'icbm152' has a brain only, but 'oasis' shows heads"
    assert expected in refused(tmp_path, settings, more={"oasis": heads})


def test_a_synthetic_cohort_is_neither_host_nor_lesion_of_another(tmp_path):
    with pytest.raises(ConfigError, match="'pasted' is no cohort with scans of its own"):
        load(tmp_path, pasted=dict(SYNTHETIC), again={**SYNTHETIC, "lesions": "pasted"})


def test_only_patients_that_show_what_hosts_show_are_donors(tmp_path):
    lacking = put_down(tmp_path, "hgg", "patients", 5)
    (tmp_path / "hgg/sub-03/anat/sub-03_T1w.nii.gz").unlink()
    # No protocol asks for T1w of these: their cohort is fine without.
    (tmp_path / "flair.yaml").write_text(yaml.safe_dump({**PROTOCOL, "contrasts": ["FLAIR"]}))
    cohorts = {
        "ixi": put_down(tmp_path, "ixi", "healthy", 9),
        "hgg": lacking,
        "pasted": {
            "source": "synthetic",
            "synthetic": {**SYNTHETIC, "lesions": "hgg"},
            "validation": 0,
        },
    }

    def donors(**changes):
        cohorts["pasted"] |= changes
        config = {"protocols": [str(tmp_path / "flair.yaml")], "cohorts": cohorts}
        plan = load_study(config, tmp_path, tmp_path).synthetic["pasted"]
        return {donor.subject for one in plan.pastes.values() for donor in one.donors}

    assert donors() == {"00", "01", "02", "04"}
    assert donors(contrasts=["FLAIR"]) == {"00", "01", "02", "03", "04"}


def test_hosts_that_are_simulated_are_simulated_still(tmp_path):
    settings = {"hosts": "made", "subjects": 3, "masks": "spheres"}
    study = load(tmp_path, more={"made": dict(SIMULATED)}, balls=settings)
    plan = Plan(study)
    everyone = {
        subject
        for shard in plan.cohorts.made["made"]
        for subject in plan.cohorts.subjects(SimpleNamespace(cohort="made", shard=shard))
    }
    assert everyone == {f"{number:02d}" for number in range(1, 10)}
    for shard, scans in plan.cohorts.shards["balls"].items():
        job = SimpleNamespace(cohort="balls", shard=shard)
        needed = plan.cohorts.pasted_files(job)
        for scan in scans:
            (own,) = (
                name
                for name, inside in plan.cohorts.made["made"].items()
                if scan.subject in {one.subject for one in inside}
            )
            assert f"results/simulated/made/{own}.json" in needed
        assert plan.cohorts.scan_files(job) == [f"results/synthetic/balls/{shard}.json"]
        assert Sizes(plan).largest_file_mb("balls", shard) == 0


def test_a_job_knows_its_hosts_and_lesions_and_depends_on_their_files(tmp_path):
    plan = Plan(load(tmp_path, pasted=dict(SYNTHETIC)))
    for shard, scans in plan.cohorts.shards["pasted"].items():
        job = SimpleNamespace(cohort="pasted", shard=shard)
        files, records = plan.cohorts.pasted_files(job), plan.cohorts.paste_records(job)
        for scan, one in zip(scans, records, strict=True):
            host = f"{tmp_path}/ixi/sub-{scan.subject}/anat/sub-{scan.subject}_T1w.nii.gz"
            assert one["host"]["images"]["T1w"] == host and host in files
            assert all(donor["lesion_mask"] in files for donor in one["donors"])
    # How many there are is no part of any one of them.
    assert not {"subjects"} & set(plan.cohorts.pasting("pasted"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"training": {"streams": {"more": {"role": "patients"}}}}, "made to be tested on"),
        (
            {"training": {"streams": {"more": {"cohorts": ["gliomas"]}}}},
            "shows lesions of 'gliomas'",
        ),
    ],
)
def test_no_lesion_is_trained_on_and_tested_in_another_brain(tmp_path, changes, expected):
    pasted = {"hosts": "ixi", "subjects": 2, "lesions": "gliomas"}
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, changes=changes, pasted=dict(pasted))
    named = {"more": {"cohorts": ["gliomas"]}}
    free = {"more": {"cohorts": ["gliomas"], "slices": "lesion_free"}}
    load(tmp_path, changes={"training": {"streams": free}}, pasted=dict(pasted))
    own = {"training": {"streams": named}, "evaluation": {"cohorts": ["gliomas"]}}
    load(tmp_path, changes=own, pasted=dict(pasted))
