"""Cohorts that choose without labels: which may, what looks at them, what is asked for."""

from types import SimpleNamespace

import pytest
import yaml
from made_studies import PROTOCOL, put_down

from normscan.errors import ConfigError
from normscan.workflow.configuration import load_study
from normscan.workflow.plan import Plan
from normscan.workflow.recipes import FOLDER

RULES = [{"best_synthetic": {}}, {"best_dice": {}}, {"conformal": {"rate": 0.05}}]
BALLS = {"hosts": "ixi", "subjects": 3, "masks": "mixed"}


def load(folder, selection=("balls",), rules=RULES, lesions=None, validation=1, **changes):
    """A study with two cohorts of patients and a synthetic one."""
    content = {**PROTOCOL, "threshold_rules": rules, **changes}
    (folder / "p.yaml").write_text(yaml.safe_dump(content))
    settings = dict(BALLS) if not lesions else {"hosts": "ixi", "subjects": 3, "lesions": lesions}
    config = {
        "protocols": [str(folder / "p.yaml")],
        "cohorts": {
            "ixi": put_down(folder, "ixi", "healthy", 12),
            "ms": {**put_down(folder, "ms", "patients", 6), "prior": "hyperintense"},
            "gliomas": put_down(folder, "gliomas", "patients", 5),
            "balls": {
                "source": "synthetic",
                "synthetic": settings,
                "validation": validation,
                "prior": "hyperintense",
            },
        },
    }
    if selection:
        config["selection"] = {"cohorts": list(selection)}
    return load_study(config, folder, folder)


def refused(folder, **options):
    with pytest.raises(ConfigError) as error:
        load(folder, **options)
    return str(error.value)


def test_cohorts_that_choose_are_evaluated_but_are_no_patients(tmp_path):
    plan = Plan(load(tmp_path, evaluation={"cohorts": ["ms"]}))
    assert plan.cohorts.evaluated("p") == ["ms", "balls"]
    assert plan.cohorts.judged("p") == ["ms"]
    rules = {one["kind"]: one["settings"] for one in plan.scoring.rule_records("p")}
    assert rules["best_synthetic"]["cohorts"] == ["balls"]
    assert rules["best_dice"]["cohorts"] == ["ms"]
    assert "cohorts" not in rules["conformal"]
    assert plan.scoring.calibration_priors("p") == {"balls": "hyperintense", "ms": "hyperintense"}


def test_without_a_selection_synthetic_cohorts_are_what_they_were(tmp_path):
    plan = Plan(load(tmp_path, selection=(), rules=RULES[1:]))
    assert plan.cohorts.judged("p") == plan.cohorts.evaluated("p") == ["ms", "gliomas", "balls"]
    assert plan.scoring.rule_records("p")[0]["settings"]["cohorts"] == ["ms", "gliomas", "balls"]
    assert plan.report.inputs()["selection"] == []


def test_scores_are_those_of_every_approach_on_every_cohort_that_chooses(tmp_path):
    plan = Plan(load(tmp_path))
    paths, records = plan.selection.histograms("p"), plan.selection.records("p")
    assert {one["variant"] for one in records} == {"intensity", "vae", "ae"}
    for path, one in zip(paths, records, strict=True):
        assert f"p/{one['variant']}/seed-{one['seed']}/filtered-hyperintense/balls/" in path
    assert len(plan.selection.thresholds("p")) == len(plan.selection.jobs("p")) == 3
    assert plan.report.inputs()["selection"] == ["results/study/p/selection.json"]
    wanted = plan.scoring.validation_histograms(SimpleNamespace(protocol="p", variant="ae", seed=0))
    assert any("/balls/" in path for path in wanted)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"selection": ("bals",)}, "config.selection.cohorts: found 'bals'"),
        ({"selection": ("ms",)}, "'ms' has source 'bids'; it must be 'synthetic'"),
        ({"selection": ()}, "threshold_rules.best_synthetic: has no synthetic cohort to look at"),
        ({"lesions": "ms"}, "'balls' shows lesions of 'ms', which protocol 'p' evaluates"),
        ({"validation": 0}, "none of its cohorts (balls) has validation subjects"),
        (
            {"rules": [{"best_synthetic": {"cohorts": ["ms"]}}]},
            "threshold_rules.best_synthetic.cohorts: 'ms' has source 'bids'",
        ),
        ({"rules": [{"conformal": {"rate": 0}}]}, "conformal.rate: found 0"),
    ],
)
def test_what_is_no_choice_without_labels_is_said_when_planned(tmp_path, options, expected):
    assert expected in refused(tmp_path, **options)


def test_lesions_of_patients_that_nobody_is_judged_by_may_choose(tmp_path):
    study = load(tmp_path, lesions="gliomas", evaluation={"cohorts": ["ms"]})
    assert study.selection == ("balls",)


def test_the_small_example_starts(tmp_path):
    config = yaml.safe_load((FOLDER.parent / "configs" / "demo_selection.yaml").read_text())
    plan = Plan(load_study(config, tmp_path, FOLDER))
    assert plan.cohorts.judged("demo") == ["demo_ms", "demo_tumour"]
    priors = plan.selection.priors("demo")
    assert priors["bright"] == priors["demo_ms"] and priors["any"] == priors["demo_tumour"]
