"""Bundles in the place of protocols: what is planned of them, and what is wrong with them."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest
import yaml
from made_studies import PROTOCOL, put_down

from normscan.errors import ConfigError
from normscan.postprocessing.exported import write_record
from normscan.workflow.configuration import load_study
from normscan.workflow.plan import Plan

MODEL = {"family": "vae", "settings": {"network": "unified"}, "uses": {}}


def plan_of(folder, **config):
    """The plan of a study with a healthy cohort, and one to screen."""
    (folder / "p.yaml").write_text(yaml.safe_dump({**PROTOCOL, **config.pop("changes", {})}))
    cohorts = {
        "healthy": put_down(folder, "healthy", "healthy", 4),
        "new": put_down(folder, "new", "unlabelled", 1),
    }
    config = {"protocols": ["p.yaml"], "cohorts": cohorts, **config}
    return Plan(load_study(config, folder, folder))


def bundle(plan, folder, variant="vae", seed=0, model=MODEL, **changes):
    """A bundle as the study exports it, of no weights."""
    where = SimpleNamespace(protocol="p", variant=variant, seed=seed)
    path = folder / "p" / variant / f"seed-{seed}"
    path.mkdir(parents=True)
    record = {
        **plan.screening.approach_record(where),
        "seed": seed,
        "fingerprint": plan.preprocessing.pack_fingerprint("p"),
        "thresholds": {"none": {"best_dice": {"threshold": 0.5}}},
        "files": {"bundle.json": "0", "weights.safetensors": "0"} if model else {},
    }
    write_record(path / "approach.json", record | changes)
    (path / "bundle.json").write_text(json.dumps(model))


def screening(folder, **config):
    """The plan of a configuration that knows bundles and a scan, and nothing else."""
    cohorts = {"new": put_down(folder, "new", "unlabelled", 1)}
    config = {"screening": {"bundles": "bundles"}, "cohorts": cohorts, **config}
    return Plan(load_study(config, folder, folder))


def refused(folder, *fragments, **config):
    with pytest.raises(ConfigError) as error:
        screening(folder, **config)
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "preprocessing": [
                {"register": {"transform": "rigid", "spacing": 3.0, "reference": "FLAIR"}},
                {"strip_skull": {}},
                {"normalise": {"percentile": 90}},
            ],
            "slices": {"size": 64, "min_brain_voxels": 3},
        },
    ],
)
def test_scans_get_the_paths_that_the_study_gives_them(tmp_path, changes):
    study = plan_of(tmp_path, changes=changes)
    bundle(study, tmp_path / "bundles")
    found = screening(tmp_path)
    assert found.preprocessing.chain == study.preprocessing.chain
    assert found.preprocessing.pack == study.preprocessing.pack
    ours, theirs = (one.preprocessing.pack_fingerprint("p") for one in (found, study))
    assert ours == theirs
    assert found.cohorts.needed_contrasts("new") == study.cohorts.needed_contrasts("new")
    assert found.results() == ["results/screening/new/index.html"]
    assert found.cohorts.checks(found.cohorts.named("healthy", "patients")) == []


def test_code_and_cost_are_those_of_the_study(tmp_path):
    study = plan_of(tmp_path)
    bundle(study, tmp_path / "bundles")
    bundle(study, tmp_path / "bundles", "intensity", model=None)
    found = screening(tmp_path)
    for job in found.screening.jobs():
        assert found.screening.cost(job) == study.screening.cost(job)
        assert found.screening.modules(job) == study.screening.modules(job)


def test_each_approach_by_its_first_seed(tmp_path):
    study = plan_of(tmp_path, seeds=[3, 5])
    for seed in (5, 3):
        bundle(study, tmp_path / "bundles", seed=seed)
    bundle(study, tmp_path / "bundles", "intensity", seed=3, model=None)
    jobs = screening(tmp_path).screening.jobs()
    assert [(job.variant, job.seed) for job in jobs] == [("intensity", 3), ("vae", 3)]
    chosen = {"bundles": "bundles", "approaches": ["p/vae"]}
    (job,) = screening(tmp_path, screening=chosen).screening.jobs()
    assert job.variant == "vae"


def test_what_is_not_there(tmp_path):
    refused(tmp_path, "key 'protocols' is missing; without it scans are screened with bundles, and")
    study = plan_of(tmp_path)
    bundle(study, tmp_path / "bundles")
    wrong = {"bundles": "bundles", "approaches": ["p/vea"]}
    refused(tmp_path, "no bundle of 'p/vea' in", "there are: p/vae", screening=wrong)


def test_without_protocols_nothing_else_is_done(tmp_path):
    bundle(plan_of(tmp_path), tmp_path / "bundles")
    cohorts = {"healthy": put_down(tmp_path, "healthy", "healthy", 4)}
    refused(tmp_path, "key 'protocols' is missing", "the role of 'healthy' is not", cohorts=cohorts)


def test_a_broken_bundle_is_named(tmp_path):
    study = plan_of(tmp_path)
    bundle(study, tmp_path / "bundles", model={**MODEL, "family": "vea"})
    bundle(study, tmp_path / "bundles", "ae", fingerprint={"preprocessing": 3})
    refused(tmp_path, "vae/seed-0/bundle.json: describes no model that is known here")
    fragment = "p/ae/seed-0: does not say how scans are made ready; export it again"
    refused(tmp_path, fragment, screening={"bundles": "bundles", "approaches": ["p/ae"]})
    path = tmp_path / "bundles/p/ae/seed-0/approach.json"
    path.write_text(path.read_text().replace("best_dice", "worst_dice"))
    refused(tmp_path, "p/ae/seed-0/approach.json: cannot be used; export the bundle again")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("p{x}/vae/seed-0", "a protocol's name; give the folder the name that the bundle was"),
        ("p q/vae/seed-0", "only letters, digits and . _ - are allowed in a protocol's name"),
        ("p/v\nae/seed-0", "/bundles/p/v\\nae': only letters, digits and . _ - are allowed in an"),
        ("p/vae@{share}/seed-0", "a share of the subjects as in vae@10pct; give the folder"),
        ("p/vae@200pct/seed-0", "a share of the subjects as in vae@10pct"),
        ("p/vae/seed-x", "seed-x': a seed is a whole number of at most 4294967295; give"),
        ("p/vae/seed-²", "a seed is a whole number"),
        ("p/vae/seed-007", "a seed is a whole number"),
        ("p/vae/seed-99999999999", "a seed is a whole number"),
    ],
)
def test_folders_are_called_as_the_study_calls_them(tmp_path, place, said):
    study = plan_of(tmp_path)
    bundle(study, tmp_path / "bundles", "intensity", model=None)
    bundle(study, tmp_path / "elsewhere")
    folder = tmp_path / "bundles" / place
    folder.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "elsewhere/p/vae/seed-0").rename(folder)
    with pytest.raises(ConfigError) as raised:
        screening(tmp_path)
    (line,) = str(raised.value).splitlines()[1:]
    assert said in line
    # Who names other approaches does not use it.
    chosen = {"bundles": "bundles", "approaches": ["p/intensity"]}
    assert len(screening(tmp_path, screening=chosen).screening.jobs()) == 1


def test_a_share_of_the_subjects_is_a_part_of_the_name(tmp_path):
    study = plan_of(tmp_path, changes={"training": {"shares": [2.5, 100]}})
    for variant in ("vae", "vae@2.5pct"):
        bundle(study, tmp_path / "bundles", variant)
    jobs = screening(tmp_path).screening.jobs()
    assert [job.variant for job in jobs] == ["vae", "vae@2.5pct"]


@pytest.mark.parametrize("contrasts", ["T1w", [], ["{x}"], [3], None])
def test_contrasts_are_those_that_protocols_may_have(tmp_path, contrasts):
    study = plan_of(tmp_path)
    made = {**study.preprocessing.pack_fingerprint("p"), "contrasts": contrasts}
    bundle(study, tmp_path / "bundles", fingerprint=made)
    refused(tmp_path, "p/vae/seed-0: does not say how scans are made ready; export it again")


def test_a_model_does_what_its_detector_needs(tmp_path):
    model = {"family": "deep_svdd", "settings": {"network": "unified"}, "uses": {}}
    bundle(plan_of(tmp_path), tmp_path / "bundles", model=model)
    refused(tmp_path, "p/vae/seed-0: its model cannot reconstruct, which its detector reconstruct")
    bundle(plan_of(tmp_path), tmp_path / "others", model={**MODEL, "settings": {"network": [1]}})
    refused(
        tmp_path,
        "bundle.json: describes no model that is known here",
        screening={"bundles": "others"},
    )


def test_bundles_of_one_protocol_are_of_one_preprocessing(tmp_path):
    bundle(plan_of(tmp_path), tmp_path / "bundles", "ae")
    bundle(plan_of(tmp_path, changes={"slices": {"size": 64}}), tmp_path / "bundles")
    refused(tmp_path, "made ready otherwise than those of", "p/ae/seed-0; export both again")
    chosen = {"bundles": "bundles", "approaches": ["p/vae"]}
    assert screening(tmp_path, screening=chosen).preprocessing.pack["p"] == "T1w-FLAIR-64"


def test_histograms_are_matched_where_the_other_scan_is(tmp_path):
    steps = [{"register": {}}, {"match_histogram": {}}]
    bundle(plan_of(tmp_path, changes={"preprocessing": steps}), tmp_path / "bundles")
    refused(tmp_path, "histograms are matched to healthy/sub-0", "whose image no bundle holds")


def test_one_scan_without_any_configured_cohort(tmp_path):
    bundle(plan_of(tmp_path), tmp_path / "bundles")
    for contrast in ("T1w", "FLAIR"):
        (tmp_path / f"sub-9_{contrast}.nii.gz").touch()
    files = {one: f"sub-9_{one}.nii.gz" for one in ("T1w", "FLAIR")}
    config = {"screening": {"bundles": "bundles"}, "scan": files, "skull_stripped": True}
    found = Plan(load_study(config, tmp_path, tmp_path))
    assert found.results() == ["results/screening/sub-9/index.html"]
    with pytest.raises(ConfigError, match="config: key 'cohorts' is missing"):
        load_study({"screening": {"bundles": "bundles"}}, tmp_path, tmp_path)


def both(study, folder, digest=None):
    """The bundle of an approach that is fused of two others, by its own seed and another."""
    parts = [("intensity", 3), ("vae", 5)]
    records = [
        json.loads((folder / f"p/{name}/seed-{seed}/approach.json").read_text())
        for name, seed in parts
    ]
    digests = [digest or record["digest"] for record in records]
    settings = {"fuse": ["intensity", "vae"], "weights": "equal", "combine": "sum", "seeds": "own",
                "position": "slice", "least_scans": 20, "tail": 0.001}  # fmt: skip
    record = {
        "detector": "fuse", "settings": settings, "uses": {},
        "files": {f"parts/{number}-none.npz": "0" for number in range(2)},
        "parts": [
            {"variant": name, "seed": seed, "weight": 0.5, "digest": one}
            for (name, seed), one in zip(parts, digests)
        ],
    }  # fmt: skip
    bundle(study, folder, "ae", seed=3, model=None, **record)


def test_a_fused_approach_brings_its_parts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, folder = plan_of(tmp_path, seeds=[3, 5]), tmp_path / "bundles"
    bundle(study, folder, "intensity", seed=3, model=None)
    for seed in (3, 5):
        bundle(study, folder, "vae", seed=seed)
    both(study, folder)
    found = screening(tmp_path).screening
    jobs = [(job.variant, job.seed) for job in found.jobs()]
    assert jobs == [("ae", 3), ("intensity", 3), ("vae", 3)], "no part is shown for it"
    w = SimpleNamespace(protocol="p", variant="ae", seed="3", cohort="new", shard="00")
    assert [path.split("/p/")[1] for path in found.part_results(w)] == [
        "intensity/seed-3/00.json", "vae/seed-5/00.json",
    ]  # fmt: skip
    for variant, is_fused in (("ae", True), ("intensity", False), ("vae", False)):
        assert bool(re.fullmatch(f"({found.fused_variants()})/", f"{variant}/")) is is_fused
        assert bool(re.fullmatch(f"({found.other_variants()})/", f"{variant}/")) is not is_fused
    alone = {"bundles": "bundles", "approaches": ["p/ae"]}
    (job,) = screening(tmp_path, screening=alone).screening.jobs()
    assert job.variant == "ae"


def test_a_part_that_is_missing_or_another_is_named(tmp_path):
    study, folder = plan_of(tmp_path, seeds=[3, 5]), tmp_path / "bundles"
    bundle(study, folder, "intensity", seed=3, model=None)
    bundle(study, folder, "vae", seed=5)
    both(study, folder, digest="another")
    refused(tmp_path, "p/vae/seed-5 is not the bundle that it was fused with; export both again")
    shutil.rmtree(folder / "p/vae")
    refused(tmp_path, "is fused of", "p/vae/seed-5, which is missing; copy that bundle too")


def test_only_pages_of_the_studys_own_bundles_lead_to_its_report(tmp_path):
    study = plan_of(tmp_path)
    bundle(study, tmp_path / "bundles")
    assert study.screening.report() == "../../report.html"
    assert study.patients.report() == "../../../report.html"
    assert screening(tmp_path).screening.report() == ""
