"""The recipe of Kobayashi et al. 2021 in plans, and classes of lesions there."""

import pytest
import yaml
from made_studies import load, plan, protocol, wildcards

from normscan.errors import NormscanError
from normscan.evaluation.published import load_published
from normscan.workflow.fingerprint import SCRIPTS
from normscan.workflow.protocols import parse_protocol

FOLDER = SCRIPTS.parent / "protocols"
CLASSES = {"tumour": [4, 1], "cavity": 2}


@pytest.fixture(scope="module")
def recipe():
    content = yaml.safe_load((FOLDER / "global_local.yaml").read_text())
    found, problems = parse_protocol("global_local", content)
    assert problems == []
    return found


def test_values_of_the_recipe_are_those_of_the_paper(recipe):
    assert [step.kind for step in recipe.steps] == ["register", "find_body", "normalise"]
    assert recipe.steps[-1].settings["method"] == "white_matter_peak"
    assert (recipe.slices["size"], recipe.slices["field_of_view"]) == (256, 256)
    intro, vae = recipe.models["introvae"], recipe.models["vae_kobayashi2021"]
    names = ("adversarial_weight", "reconstruction_weight", "margin", "batch_size", "max_epochs")
    assert [intro.settings[name] for name in names] == [0.5, 0.04, 120, 120, 200]
    assert intro.settings["network"] == vae.settings["network"] == "kobayashi2021"
    assert intro.augmentation == vae.augmentation
    assert intro.augmentation["flip"]["axes"] == "horizontal"
    assert intro.augmentation["affine"]["degrees"] == 0
    patches = recipe.models["patch_metric"].settings
    assert (patches["patch"], patches["hidden"], patches["embedding"]) == (32, 1024, 256)
    main = recipe.streams["main"]
    assert (main.role, main.slices) == ("patients", "lesion_free")
    plain = {"erosion": 0, "median": 1, "minimum_voxels": 0, "prior": "none"}
    assert recipe.postprocessing == plain


def test_rows_of_table_one_and_the_residuals_of_figure_five_are_approaches(recipe):
    by_title = {one.title: one for one in recipe.approaches.values()}
    rows = set(load_published("kobayashi2021")["approach"])
    assert {by_title[name].detector for name in rows} == {"embedding_distance"}
    assert by_title["IntroVAE+LatSearch"].settings["search_steps"] == 100
    residuals = {by_title[f"{name} (L1 distance)"].detector for name in rows}
    assert residuals == {"reconstruction", "latent_search"}
    search = by_title["IntroVAE+LatSearch (L1 distance)"].settings
    assert [search[name] for name in ("start", "steps", "learning_rate")] == ["encoder", 100, 1e-3]


def test_whole_heads_are_normalised_after_the_body_is_found(tmp_path):
    steps = [{"register": {}}, {"normalise": {"method": "white_matter_peak"}}, {"find_body": {}}]
    with pytest.raises(NormscanError, match="'normalise' stands before 'find_body'"):
        load(tmp_path, protocol(preprocessing=steps))


def test_classes_go_to_the_jobs_that_count_and_draw(tmp_path):
    changes = {"gliomas": {"lesion_classes": CLASSES, "ignored_labels": [7]}}
    made = plan(tmp_path, protocol(), changes=changes)
    w = wildcards(made, cohort="gliomas")
    assert made.cohorts.lesion_classes(w.cohort) == {"tumour": [1, 4], "cavity": [2]}
    assert made.cohorts.lesion_labels(w.cohort) == [1, 2, 4]
    assert made.cohorts.lesion_classes("ms") == {} and made.cohorts.lesion_labels("ms") == []
    assert any(path.endswith("study/p0/classes.tsv") for path in made.report.inputs()["classes"])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"lesion_classes": {"a:b": 1}}, "lesion_classes"),
        ({"lesion_classes": {"tumour": [0]}}, "lesion_classes"),
        ({"lesion_classes": CLASSES, "ignored_labels": [2]}, "stand in lesion_classes as well"),
    ],
)
def test_classes_that_cannot_be_are_refused_when_the_run_is_planned(tmp_path, entry, said):
    with pytest.raises(NormscanError, match=said):
        load(tmp_path, protocol(), changes={"gliomas": entry})
