"""What a protocol does otherwise than a recipe is found, all of it, and nothing else."""

import copy

import made_content
import pytest

from normscan.report.differences import differences, relation


@pytest.fixture
def recipe() -> dict:
    return made_content.protocol()["recipe"]


def put(recipe: dict, value, *place) -> dict:
    """A copy with another value at a place."""
    changed = copy.deepcopy(recipe)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def test_equal_recipes_have_none(recipe):
    assert differences(recipe, copy.deepcopy(recipe)) == []


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        (("contrasts",), ["T1w"], "contrasts: T1w (recipe: FLAIR)"),
        (
            ("steps", 0, "spacing"),
            None,
            "register: voxel size that of the atlas (recipe: 2 mm)",
        ),
        (("steps", 3, "percentile"), 95, "normalise: percentile 95 (recipe: 98)"),
        (("slices", "size"), 32, "slices: side of a slice 32 px (recipe: 64 px)"),
        (("shares",), [10, 100], "training subjects (%): 10/100 (recipe: 100)"),
        (("models", "ae", "latent"), 8, "model ae: size of the code 8 (recipe: 128)"),
        (
            ("models", "ae", "dropout"),
            0.2,
            "model ae: dropout 0.2 (recipe: not set)",
        ),
        (
            ("approaches", 2, "settings", "steps"),
            500,
            "VAE (restoration): steps 500 (recipe: 30)",
        ),
        (
            ("postprocessing", "median"),
            5,
            "post-processing: width of the 3D median 5 voxels (recipe: 3 voxels)",
        ),
        (
            ("postprocessing", "erosion"),
            0,
            "post-processing: erosion of the brain mask 0 voxels (recipe: 1 voxel)",
        ),
        (
            ("rules",),
            ["best_dice"],
            "operating points without: 1 % false positives on healthy voxels",
        ),
    ],
)
def test_one_change_is_one_line(recipe, place, value, line):
    assert differences(put(recipe, value, *place), recipe) == [line]


def test_steps_left_out_added_and_in_another_order(recipe):
    steps = recipe["steps"]
    mine = [steps[0], steps[3], steps[1], {"step": "correct_bias", "shrink": 4}]
    assert differences({**recipe, "steps": mine}, recipe) == [
        "without the step denoise",
        "with the step correct_bias",
        "order of steps: register, normalise, strip_skull and correct_bias "
        "(recipe: register, strip_skull, denoise and normalise)",
    ]


def test_what_all_models_have_is_said_once(recipe):
    models = {name: {**model, "latent": 8} for name, model in recipe["models"].items()}
    models["vae"]["network"] = "you2019"
    assert differences({**recipe, "models": models}, recipe) == [
        "all models: size of the code 8 (recipe: 128)",
        "model vae: network you2019 (recipe: unified)",
    ]


def test_models_and_approaches_that_the_recipe_has_not(recipe):
    changed = put(recipe, {"family": "gmvae"}, "models", "vae")
    assert differences(changed, recipe) == [
        "model vae: the recipe has none of family gmvae",
        "with the approach VAE (restoration), which the recipe has not",
        "1 of 3 approaches not run: VAE (restoration)",
    ]


def test_another_name_is_no_difference(recipe):
    changed = copy.deepcopy(recipe)
    changed["models"]["mine"] = changed["models"].pop("ae")
    changed["approaches"][1] |= {"title": "Mine", "model": "mine"}
    assert differences(changed, recipe) == []


def test_approaches_of_one_kind_are_told_apart_by_their_titles(recipe):
    """Else one that is made small resembles another one as much as its own."""
    plain = next(one for one in recipe["approaches"] if one["title"] == "VAE (restoration)")
    searched = {
        **plain,
        "title": "VAE (searched)",
        "settings": {**plain["settings"], "search": 100},
    }
    recipe["approaches"].append(searched)
    small = put(recipe, 30, "approaches", len(recipe["approaches"]) - 1, "settings", "search")
    assert differences(small, recipe) == ["VAE (searched): search 30 (recipe: 100)"]


def test_another_first_rule_makes_other_detections(recipe):
    lines = differences({**recipe, "rules": recipe["rules"][::-1]}, recipe)
    assert lines == [
        "detections at: 1 % false positives on healthy voxels "
        "(recipe: best Dice on validation patients)"
    ]


def test_how_many_slices_a_device_takes_at_once_does_not_matter(recipe):
    assert differences(put(recipe, 4, "approaches", 2, "settings", "batch_size"), recipe) == []


def test_following_is_claimed_only_where_it_was_compared():
    protocol = made_content.protocol()
    assert relation({**protocol, "citation": ""}) == ("", [])
    for reference, words in ((None, "no recipe"), ({"name": "r", "recipe": None}, "as it was shi")):
        text, lines = relation({**protocol, "reference": reference})
        assert words in text and "not said" in text and lines == []
    same = {"name": "r", "recipe": protocol["recipe"]}
    text, lines = relation({**protocol, "reference": same})
    assert text.startswith("is the recipe 'r'") and lines == []
