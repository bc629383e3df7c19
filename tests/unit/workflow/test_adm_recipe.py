"""Kim et al. 2021 in plans: values of the paper, all approaches, several contrasts of patients."""

import re

import pytest
import yaml
from made_studies import plan, protocol

from normscan.evaluation.published import load_published
from normscan.evaluation.sweeps import find_sweeps
from normscan.workflow.configuration import merged
from normscan.workflow.fingerprint import SCRIPTS
from normscan.workflow.protocols import parse_protocol

FOLDER = SCRIPTS.parent / "protocols"
PAGE = SCRIPTS.parent / "docs" / "papers" / "kim2021.md"


def shipped(name, changes=None):
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    found, problems = parse_protocol(name, merged(content, changes or {}))
    assert problems == []
    return found


def test_values_of_the_recipe_are_those_of_the_paper():
    adm = shipped("adm")
    model = adm.models["adm"]
    names = ("density_weight", "components", "epsilon", "max_epochs", "reduced")
    assert [model.settings[name] for name in names] == [5e-4, 6, 1e-6, 50, 3]
    assert set(model.augmentation) == {"scaling"}
    assert list(adm.contrasts) == ["FLAIR", "T2w", "T1w", "T1ce"]
    assert adm.slices["size"] == 128
    assert (adm.steps[-1].kind, adm.steps[-1].settings["method"]) == ("normalise", "zscore")
    assert [rule.label for rule in adm.rules] == ["best_dice"]
    main = adm.streams["main"]
    assert (main.role, main.slices) == ("patients", "lesion_free")
    assert adm.models["one_class_svm"].settings["nu"] == 5e-4
    assert adm.models["prior_gmvae_scaled"].settings["clusters"] == 3
    assert adm.approaches["gmvae_restored"].settings["tv_weight"] == 7


def test_every_approach_of_every_table_is_there():
    both = [shipped(name) for name in ("adm", "adm_settings")]
    titles = {one.published or one.title for made in both for one in made.approaches.values()}
    # What both sweeps have in the middle is ADM itself.
    same = {"ADM, λ = 5e-4", "ADM, 6 Gaussians"}
    assert set(load_published("kim2021")["approach"]) <= titles | same


def test_variants_differ_from_adm_in_what_they_are_named_for():
    adm, settings = shipped("adm"), shipped("adm_settings")
    assert adm.models["adm"] == settings.models["adm"]
    differs = {
        "adm_ct": {"features": "translated"},
        "adm_dr": {"features": "reduced"},
        "adm_woj": {"joint": False},
        "adm_components_4": {"components": 4},
        "adm_weight_005": {"density_weight": 0.05},
        "adm_plain": {"median": False},
    }
    for name, values in differs.items():
        model = (adm.models | settings.models)[name]
        assert model.settings == adm.models["adm"].settings | values
    assert not settings.models["adm_plain"].augmentation
    assert not settings.models["adm_unscaled"].augmentation


def test_names_are_those_of_no_other_recipe_unless_they_are_the_same():
    own = shipped("adm")
    for path in sorted(FOLDER.glob("*.yaml")):
        other = shipped(path.stem)
        for room in ("models", "approaches"):
            mine, theirs = getattr(own, room), getattr(other, room)
            for name in set(mine) & set(theirs):
                assert mine[name] == theirs[name], (path.stem, room, name)


def test_both_tables_of_settings_are_sweeps_that_adm_is_in_the_middle_of():
    made = shipped("adm_settings")
    settings = {
        one.title: one.settings
        | {f"model.{key}": value for key, value in made.models[one.model].settings.items()}
        | {"augmentation": sorted(made.models[one.model].augmentation or {})}
        for one in made.approaches.values()
        if one.model in made.models
    }
    found = {sweep.setting: sweep for sweep in find_sweeps(settings)}
    assert list(found["model.density_weight"].titles) == [5e-5, 5e-4, 5e-3, 5e-2]
    assert list(found["model.components"].titles) == [2, 4, 6, 8]
    assert "ADM" in found["model.components"].titles.values()


def test_the_documented_values_of_isles_are_an_override():
    _, example = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    changes = yaml.safe_load(example)["overrides"]["adm"]
    isles = shipped("adm", changes)
    assert list(isles.contrasts) == ["DWI", "T1w", "FLAIR", "T2w"]
    values = isles.models["adm_dr"].settings
    assert (values["density_weight"], values["max_epochs"]) == (5e-3, 200)
    assert isles.models["prior_gmvae_scaled"].settings["clusters"] == 6


def test_one_contrast_is_too_few():
    adm = {"family": "adm", "inputs": ["FLAIR"], "targets": ["FLAIR"]}
    approaches = {"adm": {"model": "adm", "detector": "pixel_energy"}}
    _, problems = parse_protocol("p", protocol(models={"adm": adm}, approaches=approaches))
    assert any("at least 2 contrasts" in one for one in problems), problems


@pytest.mark.parametrize("name", ["adm", "adm_settings"])
def test_patients_are_trained_on_without_a_healthy_cohort(tmp_path, name):
    """Kim et al. have patients only: their lesion-free slices train, other patients test."""
    content = {**protocol(), "training": shipped_training(name)}
    content["threshold_rules"] = [{"best_dice": {}}]
    made = plan(tmp_path, content, cohorts=("gliomas", "ms"))
    assert made.training.label("p0", 100, ["vae"]) == "gliomas+ms-lesion_free"
    assert made.cohorts.study.training["gliomas"] == 0.5


def shipped_training(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["training"]
