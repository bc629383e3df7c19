"""The methods text says what was run, from its settings, and every number leads to a reference."""

import re
import shutil

import made_content
import pytest

from normscan.detectors import registry as detectors
from normscan.figures.looks import LINES
from normscan.models import registry as models
from normscan.networks import registry as networks
from normscan.plugins import literals
from normscan.report.citations import after, all_references, citation
from normscan.report.preprocessing import preprocessing
from normscan.workflow.introductions import appearance, introduction, introductions

LISTED = {
    "models": models.families, "networks": networks.names, "detectors": detectors.names
}  # fmt: skip


def keys(made: dict) -> list[str]:
    return [entry["key"] for entry in made["references"]]


def changed(**parts) -> dict:
    """The made protocol with another recipe, compared with nothing."""
    made = {**made_content.protocol(), "citation": ""}
    return {**made, "recipe": {**made["recipe"], **parts}}


def approach(model: str, detector: str, **settings) -> dict:
    return {"title": f"T {model}", "model": model, "detector": detector, "settings": settings}


def cited(protocol: dict, **options) -> dict:
    """The citation of one protocol, with what its plug-ins say of themselves."""
    return citation([protocol], plugins=introductions([protocol["recipe"]]), **options)


def test_text_follows_the_steps_and_cites_them():
    steps = [
        {"step": "register", "atlas": "sri24", "transform": "syn", "spacing": None},
        {"step": "strip_skull", "method": "robex"},
        {"step": "correct_bias", "shrink": 4},
        {"step": "denoise", "method": "curvature", "iterations": 5},
        {"step": "normalise", "method": "percentile", "percentile": 98},
    ]
    made = cited(changed(steps=steps))
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
        "models": {
            f"{family} {network}": {"family": family, "network": network}
            for family in models.families()
            for network in networks.names()
        },
        "approaches": [approach("vae", name) for name in detectors.names()],
    }
    made = cited(changed(**recipe), simulated=True, synthetic=True)
    assert "of family '" not in made["text"] and "the detector '" not in made["text"]
    numbers = [int(number) for number in re.findall(r"\[(\d+)\]", made["text"])]
    assert list(dict.fromkeys(numbers)) == list(range(1, len(made["references"]) + 1))
    assert "{" not in made["text"]


def test_models_are_described_by_their_settings_alone():
    """Nothing is dense unless a model's bottleneck is."""
    spatial = {"family": "ae", "network": "unified", "bottleneck": "spatial", "latent": 64}
    other = {"family": "vae", "network": "you2019", "bottleneck": "spatial", "latent": 64}
    text = cited(
        changed(models={"a": spatial, "b": other}, approaches=[approach("a", "reconstruction")])
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
        ({"step": "normalise", "method": "zscore"}, "intensities: z-scores of the brain"),
        (
            {"step": "normalise", "percentile": 95, "ceiling": 1.0},
            "divided by the 95th percentile of the brain",
        ),
        ({"step": "normalise", "percentile": 95, "ceiling": 1.0}, "of the brain, at most 1"),
        ({"step": "normalise", "method": "median", "level": 0.5}, "median, which becomes 0.5"),
        ({"step": "normalise", "method": "median", "level": 1.0}, "median, bright lesions set"),
        ({"step": "normalise", "method": "tissue_peak"}, "the intensity of white matter"),
        ({"step": "normalise", "method": "nyul"}, "up to the median {nyul2000}"),
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


def every_introduction() -> dict:
    return {
        kind: {name: introduction(kind, name) for name in names()} for kind, names in LISTED.items()
    }


def test_references_are_complete():
    for key, entry in all_references(every_introduction()).items():
        year = re.search(r"\d{4}$", key)[0]
        assert year in entry["text"] and entry["text"].endswith("."), key
        assert (entry.get("url") or "https://").startswith("https://"), key


def test_augmentation_is_said_with_its_values_and_cited():
    model = {**changed()["recipe"]["models"]["vae"], "augmentation": {"noise": {"std": 0.1}}}
    made = cited(changed(models={"vae": model}))
    assert "augmentation noise (std 0.1)" in made["text"]
    assert "perezgarcia2021" in {one["key"] for one in made["references"]}


def test_every_model_network_and_detector_is_cited():
    said = every_introduction()
    known = all_references(said)
    for kind, plugins in said.items():
        for name, words in plugins.items():
            assert words["cite"] and set(words["cite"]) <= set(known), f"{kind}/{name}"
            assert words["title"] or kind == "networks", f"{kind}/{name}"


def test_every_model_and_detector_says_how_it_is_drawn():
    for family in models.families():
        assert isinstance(literals(models.FOLDER / f"{family}.py").get("LOOK"), str), family
    for detector in detectors.names():
        said = literals(detectors.FOLDER / f"{detector}.py")
        assert said.get("LINE", "solid") in LINES, detector
        assert said.get("EXPECTED", "restored") in ("reconstruction", "restored", "normal mean"), (
            detector
        )
        # What all others are to beat must not itself need a model.
        assert not (said.get("BASELINE") and (said["NEEDS"] or said.get("USES"))), detector


def test_an_approach_without_a_model_is_not_yet_a_baseline():
    free = appearance("", "intensity")
    assert free["training_free"] and free["baseline"] and free["look"] == "baseline"
    trained = appearance("vae", "proximal_restoration")
    assert not trained["training_free"] and not trained["baseline"]
    assert (trained["look"], trained["line"]) == ("variational", "dashed")
    assert trained["expected"] == "restored"


REFERENCE = "Newcomer A. Something new. Journal of Newcomers 1:1, 2031."


def test_a_newcomer_is_one_file(tmp_path, monkeypatch):
    """In a copy of the library's folder: listed, described, cited; all of the above holds."""
    folder = tmp_path / "models"
    shutil.copytree(models.FOLDER, folder)
    (folder / "newcomer.py").write_text(
        '"""A new family."""\nTITLE = "newcomer"\n'
        f'CITE = {{"kingma2014": "", "newcomer2031": "{REFERENCE} https://doi.org/1"}}\n'
        'LOOK = "newcomers"\nCAPABILITIES = {"reconstruct"}\nSETTINGS = {"steps": 3}\n'
    )
    monkeypatch.setattr(models, "FOLDER", folder)
    assert "newcomer" in models.families()
    test_references_are_complete()
    test_every_model_network_and_detector_is_cited()
    test_every_model_and_detector_says_how_it_is_drawn()
    test_numbers_and_references_fit()
    protocol = changed(
        models={"mine": {"family": "newcomer", "steps": 3}},
        approaches=[approach("mine", "reconstruction")],
    )
    made = cited(protocol)
    numbers = {one["key"]: place for place, one in enumerate(made["references"], start=1)}
    own, old = numbers["newcomer2031"], numbers["kingma2014"]
    assert f"'mine', newcomer [{old}] [{own}] (steps 3)" in made["text"]
    reference = {"key": "newcomer2031", "text": REFERENCE, "url": "https://doi.org/1"}
    assert made["references"][own - 1] == reference
    assert appearance("newcomer", "gradient")["look"] == "newcomers"


def test_a_key_without_a_reference_stays_in_the_text():
    said = {"vae": {"title": "my VAE", "cite": ["nobody1900"], "references": {}}}
    made = citation([made_content.protocol()], plugins={"models": said})
    assert "my VAE (nobody1900)" in made["text"] and "nobody1900" not in keys(made)


def test_patients_that_models_were_trained_on_are_said():
    made = made_content.protocol()
    assert "Trained on scans of healthy subjects only" in citation([made])["text"]
    streams = {"unlabelled": "patients", "main": "ixi (lesion free slices)"}
    text = citation([changed(streams=streams)])["text"]
    assert "healthy subjects only" not in text
    assert "'unlabelled': patients" in text and "'main': ixi (lesion free slices)" in text


def test_patients_in_place_of_healthy_scans_are_said():
    said = cited({**changed(), "calibrated_on_patients": ["gliomas"]})["text"]
    assert "slices without lesions of validation patients ('gliomas')" in said
    assert "There was no healthy cohort" in said
    assert "There was no healthy cohort" not in cited(changed())["text"]
