"""Settings that exclude each other, or do not fit the slices, are refused when a run is planned."""

import copy

import pytest
import torch
import yaml

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry as models
from normscan.plugins import literals
from normscan.workflow.protocol_approaches import OWN as APPROACH_KEYS
from normscan.workflow.protocol_models import OWN as MODEL_KEYS
from normscan.workflow.protocols import parse_protocol
from normscan.workflow.together import broken, holds, names_in
from tiny_study import REPOSITORY

FOLDERS = {"models": models, "detectors": detectors}
PLUGINS = [
    (room, name)
    for room, names in (("models", models.families()), ("detectors", detectors.names()))
    for name in names
    if "TOGETHER" in literals(FOLDERS[room].FOLDER / f"{name}.py")
]
# Of each rule one way to break it, on slices of 64 pixels: settings, and the one that is named.
BROKEN = {
    ("models", "ddpm"): [({"starts": [500, 1200]}, "starts")],
    ("models", "fanogan"): [({"network": "schlegl2019", "resolution": 128}, "resolution")],
    ("models", "feature_ae"): [
        ({"window": 4, "widths": [8, 8]}, "window"),
        ({"window": 17, "widths": [8, 8]}, "window"),
        ({"widths": [8, 8, 8, 8]}, "widths"),
    ],
    ("models", "introvae"): [({"structure_weight": 1.0}, "structure_weight")],
    ("models", "patch_embedding"): [
        ({"patch": 64, "patches": 1}, "patch"),
        ({"patch": 48, "patches": 200}, "patches"),
        ({"patch": 24, "filters": [8, 8, 8, 8]}, "patch"),
    ],
    ("models", "scale_space_ae"): [({"levels": 8}, "levels")],
    ("models", "scale_space_vae"): [({"levels": 8}, "levels")],
    ("models", "ssim_vae"): [({"structure_weight": 1.0}, "structure_weight")],
    ("models", "steganomaly"): [({"low_pass": 16.0}, "low_pass")],
    ("models", "feature_bank"): [({"patch": 2}, "patch"), ({"nearest": 2001}, "nearest")],
    ("detectors", "averaged_reconstruction"): [({"flips": False}, "draws")],
    ("detectors", "embedding_distance"): [({"stride": 3}, "stride")],
    ("detectors", "intensity"): [({"minus": {"FLAIR": 1.0}}, "contrast")],
    ("detectors", "normative_z"): [({"score": "log_p", "contrast": "FLAIR"}, "score")],
    ("detectors", "scale_residual"): [({"levels": 7}, "levels")],
    ("detectors", "ssim_residual"): [({"kernel": 10}, "kernel")],
}
# Whose rule is about slices smaller than the others' here.
SMALL = {"introvae": 8, "ssim_vae": 8}
CASES = [(*plugin, *case) for plugin, cases in BROKEN.items() for case in cases]


def said(room: str, name: str) -> dict:
    return literals(FOLDERS[room].FOLDER / f"{name}.py")


def test_every_plugin_that_says_so_is_broken_here():
    assert set(BROKEN) == set(PLUGINS)
    for (room, name), cases in BROKEN.items():
        assert len(cases) == len(said(room, name)["TOGETHER"]), name


@pytest.mark.parametrize(("room", "name"), PLUGINS)
def test_defaults_go_together(room, name):
    about = said(room, name)
    for rule in about["TOGETHER"]:
        assert names_in(rule)[0] in about["SETTINGS"] and set(names_in(rule)) <= {
            *about["SETTINGS"],
            "size",
        }
        for settings in (about["SETTINGS"], {**about["SETTINGS"], **about.get("CHECKED_WITH", {})}):
            assert holds(rule, {**settings, "size": 128}), rule


@pytest.mark.parametrize(("room", "name", "changes", "named"), CASES)
def test_what_is_broken_is_named_and_nothing_else(room, name, changes, named):
    about, size = said(room, name), SMALL.get(name, 64)
    settings = {**about["SETTINGS"], **changes}
    (line,) = broken(about["TOGETHER"], settings, size, "x.y")
    assert line.startswith(f"x.y.{named}: found {settings[named]!r}; ")
    if "size" in names_in(
        next(r for r in about["TOGETHER"] if not holds(r, {**settings, "size": size}))
    ):
        assert f"slices.size: {size}" in line


@pytest.mark.parametrize(
    ("room", "name", "changes", "named"),
    [case for case in CASES if case[0] == "models" and not models.describe(case[1])["uses"]],
)
def test_a_model_would_refuse_it_as_well(room, name, changes, named):
    settings = {**said(room, name).get("CHECKED_WITH", {}), **changes}
    with pytest.raises(ConfigError):
        models.build(name, (1, 1, SMALL.get(name, 64)), **settings)


def test_a_detector_would_refuse_it_as_well():
    with pytest.raises(ConfigError, match="minus"):
        detectors.prepare(
            "intensity",
            None,
            device=torch.device("cpu"),
            contrasts=("FLAIR",),
            minus={"FLAIR": 1.0},
        )


@pytest.mark.parametrize("name", models.families())
def test_no_setting_of_a_family_is_hidden_by_a_key_that_all_models_have(name):
    assert not set(said("models", name)["SETTINGS"]) & set(MODEL_KEYS)


@pytest.mark.parametrize("name", detectors.names())
def test_nor_one_of_a_detector(name):
    assert not set(said("detectors", name)["SETTINGS"]) & set(APPROACH_KEYS)


def test_a_side_that_is_not_known_breaks_no_rule():
    assert not list(broken({"patch < size": "smaller"}, {"patch": 500}, None, "x"))


def test_a_protocol_is_refused_with_all_of_them_at_once():
    text = (REPOSITORY / "protocols" / "further_methods.yaml").read_text()
    content = yaml.safe_load(text)
    wrong = copy.deepcopy(content)
    wrong["models"]["anoddpm"]["starts"] = [250, 2000]
    wrong["models"]["bank"]["nearest"] = 5000
    wrong["approaches"]["blobs_ssim"]["kernel"] = 8
    _, problems = parse_protocol("p", wrong)
    assert problems == [
        "protocol 'p'.models.anoddpm.starts: found [250, 2000]; no start may be later than the "
        "last time (times: 1000)",
        "protocol 'p'.models.bank.nearest: found 5000; the bank has no more entries "
        "(bank_size: 2000)",
        "protocol 'p'.approaches.blobs_ssim.kernel: found 8; must be odd, so that it has a centre",
    ]
    # What is wrong by itself is said once.
    wrong["models"]["anoddpm"]["times"] = 0
    _, problems = parse_protocol("p", wrong)
    assert [line for line in problems if "anoddpm" in line] == [
        "protocol 'p'.models.anoddpm.times: found 0; must be a whole number of at least 1"
    ]
