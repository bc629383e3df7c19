"""The methods text says what was run, from its settings, and every number leads to a reference."""

import re

import made_content
import pytest

from normscan.detectors import registry as detectors
from normscan.files import read_json
from normscan.models import registry as models
from normscan.networks import registry as networks
from normscan.report.citations import REFERENCES, after, citation
from normscan.report.methods import DETECTORS, MODELS, NETWORKS
from normscan.report.preprocessing import preprocessing


def keys(made: dict) -> list[str]:
    return [entry["key"] for entry in made["references"]]


def changed(**parts) -> dict:
    """The made protocol with another recipe, compared with nothing."""
    made = {**made_content.protocol(), "citation": ""}
    return {**made, "recipe": {**made["recipe"], **parts}}


def approach(model: str, detector: str, **settings) -> dict:
    return {"title": f"T {model}", "model": model, "detector": detector, "settings": settings}


def test_text_follows_the_steps_and_cites_them():
    steps = [
        {"step": "register", "atlas": "sri24", "transform": "syn", "spacing": None},
        {"step": "strip_skull", "method": "robex"},
        {"step": "correct_bias", "shrink": 4},
        {"step": "denoise", "method": "curvature", "iterations": 5},
        {"step": "normalise", "method": "percentile", "percentile": 98},
    ]
    made = citation([changed(steps=steps)])
    order = ["SRI24", "ROBEX", "N4", "shrink 4", "curvature flow", "iterations 5", "98th"]
    order += ["side of a slice 64 px", "variational", "intensity baseline", "restoration"]
    order += ["eroded by 1 voxel", "3×3×3", "best Dice on validation", "1 % false positives"]
    places = [made["text"].index(word) for word in order]
    assert places == sorted(places)
    expected = {
        "rohlfing2010",
        "avants2008",
        "iglesias2011",
        "tustison2010",
        "sethian1999",
        "kingma2014",
        "you2019",
        "meissen2021",
        "baur2021",
        "molder2021",
        "paszke2019",
    }
    assert expected <= set(keys(made))
    assert "gulrajani2017" not in keys(made)


def test_numbers_and_references_fit():
    recipe = {
        "models": {name: {"family": name, "network": "you2019"} for name in MODELS},
        "approaches": [approach("vae", name) for name in DETECTORS],
    }
    made = citation([changed(**recipe)], simulated=True)
    numbers = [int(number) for number in re.findall(r"\[(\d+)\]", made["text"])]
    assert list(dict.fromkeys(numbers)) == list(range(1, len(made["references"]) + 1))
    assert "{" not in made["text"]


def test_models_are_described_by_their_settings_alone():
    """Nothing is dense unless a model's bottleneck is."""
    spatial = {"family": "ae", "network": "unified", "bottleneck": "spatial", "latent": 64}
    other = {"family": "vae", "network": "you2019", "bottleneck": "spatial", "latent": 64}
    text = citation(
        [changed(models={"a": spatial, "b": other}, approaches=[approach("a", "reconstruction")])]
    )["text"]
    assert "dense" not in text
    assert "'a', autoencoder" in text and "network unified" in text and "network you2019" in text
    assert "All of them: bottleneck spatial, size of the code 64." in text
    assert "bottleneck dense" in citation([made_content.protocol()])["text"]


def test_settings_of_detectors_are_said_once_when_shared():
    several = [approach("ae", "restoration", steps=30), approach("vae", "restoration", steps=30)]
    text = citation([changed(approaches=several)])["text"]
    assert text.count("steps 30") == 1
    several[0]["settings"] = {"steps": 500}
    text = citation([changed(approaches=several)])["text"]
    assert "T ae ('ae'; steps 500), T vae ('vae'; steps 30)" in text


def test_without_models_or_with_parts_of_the_subjects():
    baseline = [approach("", "intensity", contrast="FLAIR")]
    text = citation([changed(models={}, approaches=baseline)])["text"]
    assert "No model was trained" in text and "contrast FLAIR" in text
    text = citation([changed(shares=[10, 50, 100])], seeds=[0, 1, 2])["text"]
    assert "on 10 %, 50 % and 100 % of the training subjects" in text and "3 seeds" in text


def test_cohorts_that_a_step_did_not_touch_are_named():
    cohorts = {
        "a": {"skull_stripped": True, "space": ""},
        "b": {"skull_stripped": False, "space": "robex"},
        "c": {"skull_stripped": True, "space": ""},
    }
    protocol = {**made_content.protocol(), "used": ["a", "b"]}
    text = citation([protocol], cohorts=cohorts)["text"]
    assert "(not of a, which came skull-stripped)" in text
    assert "(not of b, which came in that space and were only resampled)" in text


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step": "strip_skull", "method": "given"}, "given brain masks"),
        ({"step": "strip_skull", "method": "atlas"}, "the atlas's brain mask"),
        ({"step": "normalise", "method": "zscore"}, "by z-scores"),
        ({"step": "normalise", "percentile": 95, "ceiling": 1.0}, "95th intensity percentile"),
        ({"step": "normalise", "percentile": 95, "ceiling": 1.0}, "(highest value 1)"),
        ({"step": "register", "atlas": "mine", "transform": "rigid"}, "rigid registration to the"),
        ({"step": "register", "atlas": "mine", "spacing": 2.0}, "atlas 'mine'"),
        ({"step": "register", "atlas": "mine", "spacing": 2.0}, "voxel size 2 mm"),
    ],
)
def test_steps_in_words(step, words):
    assert words in preprocessing([step], {})


def test_without_preprocessing():
    assert "used as they came" in citation([changed(steps=[])])["text"]


@pytest.mark.parametrize("name", ["my_model", "{baur2021}", "{nobody}"])
def test_unknown_names_are_named_and_not_cited(name):
    protocol = {
        **changed(
            steps=[{"step": name}],
            models={name: {"family": name, "network": name}},
            approaches=[approach(name, name)],
        ),
        "name": name,
        "citation": name,
        "reference": None,
    }
    made = citation([protocol])
    assert keys(made) == ["molder2021", "paszke2019", "harris2020"]
    assert "of family '" in made["text"] and "the detector '" in made["text"]
    assert "no recipe of it" in made["text"]


def test_a_publication_is_named_with_what_was_done_otherwise():
    protocol = made_content.protocol()
    text, lines = after(protocol)
    assert lines == ["slices: side of a slice 64 px (recipe: 128 px)"]
    assert "recipe 'comparative_study', made after Baur C, Denner S" in text
    paragraph = citation([protocol])["text"].split("\n\n")[0]
    assert paragraph.startswith("Protocol 'demo' goes by the recipe 'comparative_study', made")
    assert f"made after [1], with these differences: {lines[0]}." in paragraph
    assert after({**protocol, "citation": ""}) == ("", [])


def test_every_protocol_has_a_paragraph():
    made = citation([made_content.protocol(), {**made_content.protocol(), "name": "other"}])
    parts = made["text"].split("\n\n")
    assert [part.split("'")[1] for part in parts[:2]] == ["demo", "other"]
    assert "Snakemake" in parts[2]


def test_references_are_complete():
    for key, entry in read_json(REFERENCES).items():
        year = re.search(r"\d{4}$", key)[0]
        assert year in entry["text"] and entry["text"].endswith("."), key
        assert entry.get("url", "https://").startswith("https://"), key


def test_every_model_network_and_detector_is_cited():
    assert set(MODELS) == set(models.families())
    assert set(NETWORKS) == set(networks.names())
    assert set(DETECTORS) == set(detectors.names())
