"""The citation text names what was run, and every number leads to a reference."""

import re

import pytest

from normscan.detectors import registry as detectors
from normscan.files import read_json
from normscan.models import registry as models
from normscan.report.citations import DETECTORS, MODELS, REFERENCES, citation


def keys(made: dict) -> list[str]:
    return [entry["key"] for entry in made["references"]]


def test_text_follows_the_steps_and_cites_them():
    made = citation(
        steps=[
            {"register": {"atlas": "sri24", "transform": "syn"}},
            {"strip_skull": {"method": "robex"}},
            {"correct_bias": {}},
            {"denoise": {}},
            {"normalise": {"method": "percentile", "percentile": 98}},
        ],
        models=["vae"],
        detectors=["restoration", "intensity"],
        protocols=["baur2021"],
    )
    order = ["SRI24", "ROBEX", "N4", "curvature flow", "98th", "variational", "restoration"]
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
    assert "baur2018" not in keys(made)


def test_numbers_and_references_fit():
    made = citation(steps=[{"step": "denoise"}], models=MODELS, detectors=DETECTORS, simulated=True)
    numbers = [int(number) for number in re.findall(r"\[(\d+)\]", made["text"])]
    assert list(dict.fromkeys(numbers)) == list(range(1, len(made["references"]) + 1))
    assert "{" not in made["text"]


def test_both_forms_of_a_step_mean_the_same_and_repeats_are_said_once():
    one = citation(steps=[{"step": "strip_skull", "method": "mask"}], models=[], detectors=[])
    other = citation(steps=[{"strip_skull": {"method": "mask"}}] * 2, models=[], detectors=[])
    assert one == other and one["text"].count("given brain masks") == 1


@pytest.mark.parametrize("name", ["my_model", "{baur2021}", "{nobody}"])
def test_unknown_names_are_named_and_not_cited(name):
    made = citation(steps=[{name: None}], models=[name], detectors=[name], protocols=[name])
    assert keys(made) == ["molder2021", "paszke2019", "harris2020"]
    assert "the model '" in made["text"]


def test_without_preprocessing():
    assert "used as they came" in citation(steps=[], models=[], detectors=[])["text"]


def test_references_are_complete():
    for key, entry in read_json(REFERENCES).items():
        year = re.search(r"\d{4}$", key)[0]
        assert year in entry["text"] and entry["text"].endswith("."), key
        assert entry.get("url", "https://").startswith("https://"), key


def test_every_model_and_detector_is_cited():
    assert set(MODELS) == set(models.families())
    assert set(DETECTORS) == set(detectors.names())
