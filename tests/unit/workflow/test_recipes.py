"""Shipped protocols against the recipe of the paper that they cite."""

import pytest
import yaml

from normscan.report.differences import differences, relation
from normscan.workflow import recipes
from normscan.workflow.configuration import merged
from normscan.workflow.protocols import parse_protocol
from normscan.workflow.recipes import FOLDER, RECIPES, content_digest, recipe, reference

NAMES = [name for names in RECIPES.values() for name in names]


def content(name: str) -> dict:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def parsed(name: str, changes: dict | None = None):
    """A protocol with overrides, as a configuration gives them."""
    protocol, problems = parse_protocol(name, merged(content(name), changes or {}))
    assert problems == []
    return protocol


def lines(protocol) -> list[str]:
    return differences(recipe(protocol), reference(protocol)["recipe"])


@pytest.mark.parametrize("name", NAMES)
def test_digests_are_those_of_the_shipped_files(name):
    """Only a change of what a recipe says may change its digest: put the new one into RECIPES."""
    known = {key: digest for names in RECIPES.values() for key, digest in names.items()}
    assert known[name] == content_digest(content(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_does_not_differ_from_itself(name):
    assert reference(parsed(name))["name"] == name
    assert lines(parsed(name)) == []


def test_the_demo_names_what_it_does_otherwise():
    found = lines(parsed("demo"))
    for words in (
        "side of a slice 64 px (recipe: 128 px)",
        "width of the 3D median 3 voxels (recipe: 5 voxels)",
        "erosion of the brain mask 1 voxel (recipe: 2 voxels)",
        "atlas robex (recipe: sri24)",
        "epochs at most ",
        "Bayesian VAE: samples 10 (recipe: 100)",
        "of 18 approaches not run: AE (spatial)",
    ):
        assert any(words in line for line in found), (words, found)
    assert sum("epochs at most" in line for line in found) == 1, "said once for all models"


def test_an_override_is_named():
    changes = {"postprocessing": {"median": 3}, "models": {"vae": {"latent": 64}}}
    assert lines(parsed("comparative_study", changes)) == [
        "model vae: size of the code 64 (recipe: 128)",
        "post-processing: width of the 3D median 3 voxels (recipe: 5 voxels)",
    ]


def test_a_file_edited_in_place_is_no_recipe(tmp_path, monkeypatch):
    edited = merged(content("comparative_study"), {"slices": {"size": 64}})
    (tmp_path / "comparative_study.yaml").write_text(yaml.safe_dump(edited))
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    protocol, _ = parse_protocol("comparative_study", edited)
    known = reference(protocol)
    assert known == {"name": "comparative_study", "recipe": None}
    record = {"citation": "baur2021", "recipe": recipe(protocol), "reference": known}
    assert "not as it was shipped" in relation(record)[0]


def test_a_description_is_not_part_of_a_recipe():
    one = content("comparative_study")
    assert content_digest({**one, "description": "other"}) == content_digest(one)


def test_other_citations_have_no_recipe():
    protocol, _ = parse_protocol("mine", {**content("demo"), "citation": "somebody2020"})
    assert reference(protocol) is None


def test_models_that_nothing_uses_were_not_run():
    extra = {"models": {"unused": {"family": "fanogan"}}}
    assert "unused" not in recipe(parsed("demo", extra))["models"]
