"""The protocols that are shipped, and what is said of broken ones."""

import copy
from types import SimpleNamespace

import pytest
import yaml
from made_studies import load, say
from made_studies import protocol as made_protocol

from normscan import layout
from normscan.errors import ConfigError
from normscan.evaluation.published import load_published
from normscan.networks import registry as networks
from normscan.workflow.fingerprint import SCRIPTS
from normscan.workflow.plan import Plan
from normscan.workflow.protocols import parse_protocol

FOLDER = SCRIPTS.parent / "protocols"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def content(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_shipped_protocols_are_sound(name):
    protocol, problems = parse_protocol(name, content(name))
    assert problems == [] and protocol.name == name
    assert {one.model for one in protocol.approaches.values()} <= {"none", *protocol.models}
    assert set(protocol.models) == set(protocol.models_used())


@pytest.mark.parametrize("name", NAMES)
def test_shipped_restorations_take_steps_that_do_not_jitter(name):
    """The loop as published, or the solver without steps of the TV; few long steps go astray.

    Only the protocol of the paper itself has what the paper varies (fewer of the same steps, Fig.
    3) and what its published code does.
    """
    protocol, _ = parse_protocol(name, content(name))
    loops = [one for one in protocol.approaches.values() if one.detector == "restoration"]
    allowed = {(500, 1e-3)}
    if name == "normative_prior":
        allowed |= {(steps, 1e-3) for steps in (100, 200, 300, 400)} | {(500, 2e-3)}
    assert {(one.settings["steps"], one.settings["step_size"]) for one in loops} <= allowed


@pytest.mark.parametrize("name", ["comparative_study", "demo_study"])
def test_the_study_has_all_published_approaches_and_the_baseline(name):
    titles = {one["title"] for one in content(name)["approaches"].values()}
    published = set(load_published("baur2021")["approach"])
    assert titles == published | {"FLAIR intensity"} and len(published) == 17


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_protocol_has_the_training_free_baseline(name):
    protocol, _ = parse_protocol(name, content(name))
    baselines = [one for one in protocol.approaches.values() if one.detector == "intensity"]
    assert baselines
    for one in baselines:
        # Protocols of one study share what has the same name: that of FLAIR, not those of others.
        assert (one.name.partition("_")[0], one.model) == ("intensity", "none")
        plain = one.settings["contrast"] == "FLAIR" and one.settings["form"] == "rank"
        assert (one.name == "intensity") == plain


def test_values_of_the_study_are_those_of_the_paper():
    protocol, _ = parse_protocol("comparative_study", content("comparative_study"))
    vae = protocol.models["vae"].settings
    assert (vae["learning_rate"], vae["kl_weight"], vae["patience"]) == (1e-4, 1.0, 5)
    assert networks.describe("unified")["dropout"] == {"dense": 0.2}
    assert protocol.approaches["bayesian_ae"].settings == {"samples": 100, "dropout": 0.2}
    assert protocol.approaches["bayesian_vae"].settings["samples"] == 100
    restoration = protocol.approaches["vae_restoration"].settings
    assert (restoration["steps"], restoration["step_size"]) == (500, 1e-3)
    assert protocol.postprocessing == {"erosion": 2, "median": 5, "minimum_voxels": 8}
    assert protocol.slices["size"] == 128


@pytest.mark.parametrize("name", ["comparative_study", "demo_study"])
def test_bayesian_approaches_need_no_training_of_their_own(name):
    """Rows 16 and 17 are the models of rows 1 and 5, applied otherwise."""
    protocol, _ = parse_protocol(name, content(name))
    study = SimpleNamespace(
        results="results",
        protocols={name: protocol},
        cohorts={},
        shard_size={},
        seeds=[0],
        simulation={},
        synthetic={},
        dicom={},
        bundles=(),
    )
    plan = Plan(study)
    folders = {
        one.name: plan.detection.model_file(layout.MODEL, name, one.name, 0)
        for one in protocol.approaches.values()
    }
    assert folders["bayesian_ae"] == folders["ae"] and folders["bayesian_vae"] == folders["vae"]
    assert len(set(folders.values())) == len({*protocol.models, ""}) == 12
    maps = {plan.detection.map_file(layout.MAPS, name, one, 0) for one in ("ae", "bayesian_ae")}
    assert len(maps) == 2


@pytest.mark.parametrize("name", ["training_subjects", "original_networks"])
def test_parts_of_the_study_share_its_models_and_preprocessing(name):
    whole, _ = parse_protocol("comparative_study", content("comparative_study"))
    part, _ = parse_protocol(name, content(name))
    assert part.steps == whole.steps and part.slices == whole.slices
    assert part.postprocessing == whole.postprocessing
    common = set(part.models) & set(whole.models)
    assert len(common) >= 6
    assert all(part.models[one].settings == whole.models[one].settings for one in common)
    common = set(part.approaches) & set(whole.approaches)
    assert all(part.approaches[one] == whole.approaches[one] for one in common)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("models", "vae", "family"), "vea", ["models.vae.family", "did you mean 'vae'"]),
        (("models", "vae", "latent"), "many", ["models.vae.latent", "'many'"]),
        (("models", "vae", "network"), "resnet", ["models.vae.network", "unified"]),
        (("approaches", "ae", "detector"), "gradient", ["approaches.ae.model", "cannot elbo"]),
        (("approaches", "ae", "model"), "a", ["approaches.ae.model", "'a'"]),
        (
            ("approaches", "bayesian_ae", "model"),
            "ae_spatial",
            ["bayesian_ae.model", "cannot sample", "models.ae_spatial.bottleneck 'spatial'"],
        ),
        (("models", "ae", "dropout"), 0, ["bayesian_ae.model", "models.ae.dropout is 0"]),
        (("models", "ae", "dropout"), 1.0, ["models.ae.dropout: found 1.0"]),
        (("models", "vae", "learning_rate"), 0, ["models.vae.learning_rate: found 0", "above 0"]),
        (("models", "vae", "precision"), "half", ["models.vae.precision: found 'half'"]),
        (("approaches", "intensity", "direction"), "birght", ["did you mean 'bright'"]),
        (("approaches", "intensity", "form"), "rnk", ["did you mean 'rank'"]),
        (
            ("approaches", "intensity", "minus"),
            {"T1w": 0.25},
            ["approaches.intensity.minus: found {'T1w': 0.25}; must be", "{FLAIR: a number above"],
        ),
        (("contrasts",), ["T1w"], ["approaches.intensity.contrast: found 'FLAIR' (the default)"]),
        (("approaches", "vae_restoration", "steps"), -1, ["vae_restoration.steps: found -1"]),
        (("slices", "size"), 4, ["slices.size: found 4; must be a number of at least 8"]),
        (("threshold_rules",), [{"healthy_fpr": {"rate": 2}}], ["healthy_fpr.rate: found 2"]),
        (("preprocessing",), [{"register": {"resolution": 20}}], ["register.resolution"]),
        (("models", "ae_spatial", "dropout"), 0.1, ["models.ae_spatial.dropout", "no dropout"]),
        (
            ("approaches", "bayesian_vae", "dropout"),
            0.2,
            ["approaches.bayesian_vae.dropout", "'vae'", "cannot drop"],
        ),
        (("slices", "sise"), 64, ["slices.sise", "did you mean 'size'"]),
        (("contrasts",), ["FLARE"], ["contrasts", "FLARE"]),
        (("postprocessing", "median"), 0, ["postprocessing.median"]),
    ],
)
def test_problems_name_the_key(place, value, expected):
    broken = copy.deepcopy(content("comparative_study"))
    inner = broken
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    _, problems = parse_protocol("study", broken)
    assert problems
    text = "\n".join(problems)
    assert all(part in text for part in expected), text


NAN = float("nan")
# What runs a training, or a grid, into the ground: place, value, key that is named, and why.
GROUND = [
    (("models", "vae", "learning_rate"), -1, "models.vae.learning_rate", "above 0"),
    (("models", "vae", "learning_rate"), NAN, "models.vae.learning_rate", "finite number"),
    (("models", "vae", "learning_rate"), float("inf"), "models.vae.learning_rate", "finite number"),
    (("models", "vae", "max_epochs"), 0, "models.vae.max_epochs", "at least 1"),
    (("models", "vae", "max_epochs"), None, "models.vae.max_epochs", "at least 1"),
    (("models", "vae", "batch_size"), 0, "models.vae.batch_size", "at least 1"),
    (("models", "vae", "latent"), -4, "models.vae.latent", "at least 1"),
    (("models", "vae", "patience"), -1, "models.vae.patience", "at least 1"),
    (("models", "vae", "neighbours"), 10**9, "models.vae.neighbours", "at most 99"),
    (("preprocessing",), [{"register": {"spacing": 0}}], "register.spacing", "at least 0.2"),
    (("preprocessing",), [{"register": {"spacing": -2}}], "register.spacing", "at least 0.2"),
    (("preprocessing",), [{"register": {"spacing": 1e-3}}], "register.spacing", "at most 12"),
    (("preprocessing",), [{"register": {"margin": 1e6}}], "register.margin", "at most 200"),
    (("preprocessing",), [{"register": {"transform": "afine"}}], "register.transform", "'affine'"),
    (("preprocessing",), [{"register": {"atlas": "robx"}}], "register.atlas", "mean 'robex'"),
    (
        ("preprocessing",),
        [{"register": {}}, {"strip_skull": {"method": "robx"}}],
        "strip_skull.method",
        "did you mean 'robex'",
    ),
    (
        ("preprocessing",),
        [{"register": {}}, {"normalise": {"method": "z-score"}}],
        "normalise.method",
        "did you mean 'zscore'",
    ),
    (
        ("preprocessing",),
        [{"register": {}}, {"normalise": {"percentile": 500}}],
        "normalise.percentile",
        "at most 100",
    ),
    (("slices", "size"), 30, "slices.size", "times a power"),
    (("slices", "size"), 10**6, "slices.size", "at most 2048"),
    (("slices", "field_of_view"), 1e-9, "slices.field_of_view", "at least 10"),
    (("threshold_rules",), [{"healthy_fpr": {"rate": 5}}], "healthy_fpr.rate", "at most 1"),
    (
        ("threshold_rules",),
        [{"healthy_percentile": {"percentile": 500}}],
        "healthy_percentile.percentile",
        "at most 100",
    ),
    (("training", "shares"), [NAN], "training.shares.0", "finite number"),
    (("training", "shares"), [0], "training.shares.0", "more than 0"),
    (("postprocessing", "erosion"), 1.0, "postprocessing.erosion", "of type integer"),
    (("postprocessing", "median"), 10**6 + 1, "postprocessing.median", "at most 99"),
]


@pytest.mark.parametrize(
    ("place", "value", "key", "why"), GROUND, ids=[f"{one[2]}-{one[1]}" for one in GROUND]
)
def test_one_wrong_value_is_one_line_before_any_job(tmp_path, place, value, key, why):
    broken = made_protocol(models={"vae": {"family": "vae"}}, training={"shares": [100]})
    broken["postprocessing"] = {}
    del broken["models"]["ae"], broken["approaches"]["ae"]
    inner = broken
    for one in place[:-1]:
        inner = inner[one]
    inner[place[-1]] = value
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, broken, cohorts=("ixi", "gliomas"))
    title, *lines = str(raised.value).splitlines()
    assert "1 problem:" in title and len(lines) == 1, lines
    assert f"{key}: " in lines[0] and why in lines[0]


def test_a_name_of_two_meanings_is_reported_with_all_that_stands_on_it(tmp_path):
    """Else what must have another name, once its model has one, would be found by a second run."""
    fused = {"both": {"fuse": ["vae", "intensity"]}}
    one = made_protocol(approaches=fused)
    other = made_protocol(approaches=fused, models={"vae": {"family": "vae", "latent": 8}})
    other["approaches"]["ae"] = {"model": "ae", "detector": "gradient"}
    other["models"]["ae"] = {"family": "vae"}
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, one, other, cohorts=("ixi", "gliomas"))
    lines = str(raised.value).splitlines()[1:]
    said = "the one of the same name in protocol 'p0'; give it another name"
    assert sorted(line.strip(" -") for line in lines) == [
        f"protocol 'p1'.approaches.ae: differs from {said}",
        f"protocol 'p1'.approaches.both: stands on others than {said}",
        f"protocol 'p1'.approaches.vae: stands on others than {said}",
        f"protocol 'p1'.models.ae: differs from {said}",
        f"protocol 'p1'.models.vae: differs from {said}",
    ]


def test_all_problems_come_at_once():
    broken = content("comparative_study")
    broken["models"]["vae"]["latnt"] = 3
    broken["approaches"]["ae"]["detector"] = "reconstructoin"
    broken["threshold_rules"].append({"best_dise": {}})
    _, problems = parse_protocol("study", broken)
    assert len(problems) >= 3


TISSUE = {"segment_tissue": {"output": "layer"}}


def test_a_layer_that_no_step_makes_is_named_with_the_step(monkeypatch):
    say(monkeypatch, "models", "vae", LAYERS={"tissue"})
    assert made_problems() == [
        "protocol 'p'.models.vae: reads the layer 'tissue', which no step of the preprocessing "
        "makes; add 'segment_tissue: {output: layer}' to protocol 'p'.preprocessing"
    ]
    image = {"segment_tissue": {"output": "image"}}
    assert len(made_problems(preprocessing=[{"register": {}}, image])) == 1
    assert made_problems(preprocessing=[{"register": {}}, TISSUE]) == []


def test_tissues_are_not_segmented_in_whole_heads():
    steps = [{"register": {}}, TISSUE, {"strip_skull": {}}]
    (problem,) = made_problems(preprocessing=steps)
    assert "'segment_tissue' stands before 'strip_skull'" in problem


def made_problems(**changes) -> list[str]:
    return parse_protocol("p", made_protocol(**changes))[1]


def test_an_override_leaves_out_what_it_says_is_null(tmp_path):
    content = made_protocol()
    made = load(tmp_path, content, overrides={"p0": {"approaches": {"ae": None}}})
    assert "ae" not in made.protocols["p0"].approaches
    with pytest.raises(ConfigError, match=r"p0.approaches.vea: is null.*did you mean 'vae'"):
        load(tmp_path, content, overrides={"p0": {"approaches": {"vea": None}}})
