"""The recipe of You et al. 2019, and its small form: values, sweeps, names of tables, a plan."""

import pytest
import yaml

from normscan import layout
from normscan.evaluation.published import load_published
from normscan.evaluation.sweeps import find_sweeps
from normscan.workflow.configuration import load_study
from normscan.workflow.fingerprint import SCRIPTS
from normscan.workflow.plan import Plan
from normscan.workflow.protocols import parse_protocol

ROOT = SCRIPTS.parent
NAMES = ["normative_prior", "demo_prior"]
CONFIG = yaml.safe_load((ROOT / "configs" / "demo_prior.yaml").read_text())


def parsed(name):
    content = yaml.safe_load((ROOT / "protocols" / f"{name}.yaml").read_text())
    protocol, problems = parse_protocol(name, content)
    assert problems == []
    return protocol


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """The plans of both on the demo's cohorts."""
    folder = tmp_path_factory.mktemp("plans")
    return {
        name: Plan(load_study({**CONFIG, "protocols": [name]}, folder, ROOT / "protocols"))
        for name in NAMES
    }


def test_values_are_those_of_the_paper():
    protocol = parsed("normative_prior")
    for name, clusters in (("", 9), ("_3", 3), ("_6", 6), ("_12", 12)):
        model = protocol.models[f"prior_gmvae{name}"].settings
        assert (model["network"], model["bottleneck"], model["latent"]) == ("you2019", "spatial", 1)
        assert (model["clusters"], model["likelihood"]) == (clusters, "gaussian")
        assert model["learning_rate"] == 5e-5
    assert protocol.models["prior_vae"].settings["likelihood"] == "gaussian"
    assert [protocol.models[f"vae_{n}"].settings["latent"] for n in (128, 256)] == [128, 256]
    assert protocol.models["aae_128"].settings["code_weight"] == 0
    restored = protocol.approaches["gmvae_tv"].settings
    assert (restored["steps"], restored["step_size"], restored["tv_weight"]) == (500, 1e-3, "auto")
    assert [one.label for one in protocol.rules] == [
        "healthy_fpr_0.05", "healthy_fpr_0.01", "healthy_fpr_0.1",
    ]  # fmt: skip
    assert {one.settings["search"] for one in protocol.rules} == {"golden_section"}
    steps = {step.kind: step.settings for step in protocol.steps}
    assert steps["normalise"]["method"] == "minmax"
    assert steps["match_histogram"] == {"reference": "healthy", "scans": "not_healthy"}
    # 158 x 198 pixels of 1 mm fit into a slice.
    size, field = protocol.slices["size"], protocol.slices["field_of_view"]
    assert size >= 198 and field / size == 1 and size % 16 == 0


def test_what_the_published_code_does_is_offered_beside():
    protocol = parsed("normative_prior")
    for name, limit in (("vae_tv_code", 50), ("gmvae_tv_code", 100)):
        one = protocol.approaches[name].settings
        assert (one["first_steps"], one["first_step_size"], one["step_size"]) == (100, 5e-3, 2e-3)
        assert one["largest_gradient"] == limit and one["brain_only"] is True


def test_how_a_threshold_is_searched_for_has_no_part_in_its_name():
    """Published tables, and other protocols, know it by its limit."""
    content = yaml.safe_load((ROOT / "protocols" / "comparative_study.yaml").read_text())
    labels = {rule.label for rule in parse_protocol("p", content)[0].rules}
    assert {one.label for one in parsed("normative_prior").rules} <= labels


@pytest.mark.parametrize("name", NAMES)
def test_approaches_are_called_as_in_the_tables(name):
    titles = {one.title for one in parsed(name).approaches.values()}
    missing = set(load_published("you2019")["approach"]) - titles
    assert missing == ({"GMVAE (TV), 12 clusters"} if name == "demo_prior" else set())


def test_the_figures_of_the_paper_have_their_approaches(plans):
    records = plans["normative_prior"].report.approaches("normative_prior")
    found = {one.setting: one for one in find_sweeps({r["title"]: r["settings"] for r in records})}
    assert set(found) == {"tv_weight", "steps", "model.clusters"}
    assert list(found["tv_weight"].titles) == [0.6, 1.2, 1.8, 2.4, 3.0, 4.0]
    assert list(found["steps"].titles) == [100, 200, 300, 400, 500]
    assert list(found["model.clusters"].titles) == [3, 6, 9, 12]
    assert found["model.clusters"].titles[9] == "GMVAE (TV)"


@pytest.mark.parametrize("name", NAMES)
def test_models_are_trained_once_whatever_is_done_with_them(plans, name):
    plan, protocol = plans[name], parsed(name)
    folders = {
        plan.detection.model_file(layout.MODEL, name, one.name, 0)
        for one in protocol.approaches.values()
    }
    assert len(folders - {""}) == len(protocol.models)


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_searched_for_are_what_the_study_draws(plans, name):
    w = type("W", (), {"protocol": name})
    titles = list(plans[name].report.compared_tuned(w).values())
    assert titles[:2] == ["VAE (TV)", "GMVAE (TV)"]
    assert not any("λ =" in title or "steps" in title for title in titles)


@pytest.mark.parametrize("name", NAMES)
def test_patients_are_matched_to_a_healthy_subject(plans, name):
    (label,) = [one for one in plans[name].preprocessing.steps if "match_histogram" in one]
    step = plans[name].preprocessing.steps[label]
    assert step.settings["reference"].startswith("healthy/sub-")
    assert step.written["reference"] == "healthy"
