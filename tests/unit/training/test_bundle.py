"""Bundles: what is written comes back; what is broken or does not fit is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import MadeStore, build_adversarial, build_estimator

from normscan.errors import BundleError
from normscan.files import file_digest
from normscan.models import registry
from normscan.training.bundle import ModelFacts, check_fit, load_bundle, save_bundle, scans_seen
from normscan.training.loop import train

FINGERPRINT = {
    "preprocessing": [
        {"step": "register", "atlas": "robex"},
        {"step": "normalise", "percentile": 98},
    ],
    "contrasts": ["FLAIR"],
    "grid": {"shape": [16, 16, 4], "affine": np.eye(4).tolist()},
}
SCANS = {
    "train": {"a/sub-1": {"FLAIR": "11", "T1w": "12"}},
    "validation": {"a/sub-2": {"FLAIR": "21", "T1w": "22"}},
}


def write(folder, family="vae", model=None, settings=None):
    settings = (
        {**registry.describe("vae")["settings"], "latent": 8} if settings is None else settings
    )
    model = model or registry.build(family, (1, 1, 16), **settings)
    history = train(model, MadeStore(), MadeStore(6), seed=0, batch_size=5, max_epochs=2)
    files = folder / "weights.safetensors", folder / "bundle.json"
    save_bundle(
        *files,
        model,
        ModelFacts(family, settings, ("FLAIR",), ("FLAIR",), 16),
        fingerprint=FINGERPRINT,
        scans=SCANS,
        seed=0,
        history=history,
    )
    return model, files


def test_a_loaded_model_gives_the_same_reconstructions(tmp_path):
    model, files = write(tmp_path)
    loaded, content = load_bundle(*files)
    slices = torch.from_numpy(MadeStore(4, seed=3).slices)
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded.reconstruct(slices), model.reconstruct(slices))
    assert content["family"] == "vae" and content["epochs"] == 2
    assert content["scans"] == SCANS
    assert set(content["capabilities"]) == registry.describe("vae")["capabilities"]
    assert content["versions"]["torch"]


def test_equal_trainings_give_equal_bytes(tmp_path):
    contents = []
    for name in ("a", "b"):
        _, files = write(tmp_path / name)
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("kind", ["adversarial", "estimator"])
def test_every_kind_of_model_has_bundles(tmp_path, monkeypatch, kind):
    build = build_adversarial if kind == "adversarial" else build_estimator
    monkeypatch.setattr(registry, "build", lambda family, shape, **rest: build(1, 16))
    monkeypatch.setattr(registry, "capabilities", lambda family, settings: {"reconstruct"})
    model, files = write(tmp_path, kind, build(1, 16), {})
    loaded, _ = load_bundle(*files)
    slices = torch.from_numpy(MadeStore(4, seed=3).slices)
    with torch.no_grad():
        assert torch.equal(loaded.reconstruct(slices), model.reconstruct(slices))


def test_a_header_of_any_length_is_read(tmp_path):
    """Of 128 bytes, the file begins like a pickle."""
    _, files = write(tmp_path)
    tensors = load_file(files[0])
    starts = set()
    for length in range(0, 264, 8):
        save_file(tensors, files[0], metadata={"note": "n" * length})
        change(files[1], weights=file_digest(files[0]))
        load_bundle(*files)
        starts.add(files[0].read_bytes()[:1])
    assert b"\x80" in starts


def change(description, **values):
    content = json.loads(description.read_text())
    description.write_text(json.dumps({**content, **values}))


def break_weights(files, kind):
    weights, description = files
    if kind == "missing":
        weights.unlink()
    elif kind == "pickle":
        weights.write_bytes(b"\x80\x04K\x01.")
    elif kind == "zip":
        weights.write_bytes(b"PK\x03\x04 and so on")
    elif kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:-50])
    elif kind == "flipped":
        content = bytearray(weights.read_bytes())
        content[-10] ^= 1
        weights.write_bytes(content)
    elif kind == "lacks one":
        tensors = load_file(weights)
        tensors.pop("decoder.stages.0.bias")
        save_file(tensors, weights)
        change(description, weights=file_digest(weights))
    elif kind in ("nan", "inf", "-inf"):
        tensors = load_file(weights)
        tensors["decoder.stages.0.bias"][1] = float(kind)
        save_file(tensors, weights)
        change(description, weights=file_digest(weights))
    elif kind == "left over":
        save_file({**load_file(weights), "more": torch.zeros(2)}, weights)
        change(description, weights=file_digest(weights))
    elif kind == "other shape":
        tensors = load_file(weights)
        tensors["decoder.stages.0.bias"] = tensors["decoder.stages.0.bias"][:-1].clone()
        save_file(tensors, weights)
        change(description, weights=file_digest(weights))
    elif kind == "other latent":
        content = json.loads(description.read_text())
        change(description, settings={**content["settings"], "latent": 9})
    elif kind == "no json":
        description.write_text("{")
    elif kind == "lacks key":
        content = json.loads(description.read_text())
        content.pop("family")
        description.write_text(json.dumps(content))
    elif kind == "other format":
        change(description, format=99)
    elif kind == "older format":
        change(description, format=1, scans={"train": ["a/sub-1"]})
    elif kind == "unknown family":
        change(description, family="vea")
    elif kind == "unknown setting":
        change(description, settings={"network": "other"})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "weights.safetensors: no such file"),
        ("pickle", "is a pickle; only safetensors"),
        ("zip", "is a pickle; only safetensors"),
        ("truncated", "no readable safetensors"),
        ("flipped", "not the file that its description"),
        ("lacks one", "does not fit .*'vae': decoder.stages.0.bias is missing"),
        ("nan", "weights.safetensors: decoder.stages.0.bias holds values that are no finite"),
        ("inf", "weights.safetensors: decoder.stages.0.bias holds values that are no finite"),
        ("-inf", "weights.safetensors: decoder.stages.0.bias holds values that are no finite"),
        ("left over", "weights.safetensors: does not fit .*'vae': more is not part of the model"),
        ("other shape", r"weights.safetensors: .*stages.0.bias has shape \(\d+,\) instead of"),
        ("other latent", r"encoder.code.dense.bias has shape \(16,\) instead of \(18,\)"),
        ("no json", "bundle.json: not a JSON file"),
        ("lacks key", "bundle.json: .*lacks family"),
        ("other format", "format 99"),
        ("older format", "format 1; .* inputs and targets; train the model again"),
        ("unknown family", "unknown model family 'vea' .did you mean 'vae'"),
        ("unknown setting", "cannot build the model: settings.network: unknown network 'other'"),
    ],
)
def test_broken_bundles_are_refused(tmp_path, kind, message):
    _, files = write(tmp_path)
    break_weights(files, kind)
    with pytest.raises(BundleError, match=message):
        load_bundle(*files)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("whole"))[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": {"latent": "x"}}, "settings.latent: found 'x'; must be a number of at least"),
        ({"settings": {"latent": None}}, "settings.latent: found None; must be a number"),
        ({"settings": {"latent": [8]}}, "settings.latent: found [8]; must be a number"),
        ({"settings": {"latent": -4}}, "settings.latent: found -4; must be a number of at least 1"),
        ({"settings": {"network": []}}, "settings.network: found []; must be of type str"),
        ({"settings": {"bottleneck": {}}}, "settings.bottleneck: found {}; must be of type str"),
        ({"settings": {"bottleneck": "x"}}, "settings.bottleneck: found 'x'; network unified has"),
        ({"settings": {"latnt": 3}}, "settings.latnt: unknown key (did you mean 'latent'?)"),
        ({"settings": [1]}, "settings: found [1]; must be a mapping"),
        ({"settings": None}, "settings: found None; must be a mapping"),
        ({"size": "16"}, "size: found '16'; must be a whole number of at least 8"),
        ({"size": 10**9}, "size: found 1000000000; must be a whole number of at least 8 and at"),
        ({"size": 17}, "this version cannot build the model: "),
        ({"neighbours": -1}, "neighbours: found -1; must be a whole number of at least 0"),
        ({"inputs": "FLAIR"}, "inputs: found 'FLAIR'; must be a list of contrasts"),
        ({"targets": []}, "targets: found []; must be a list of contrasts"),
        ({"family": ["vae"]}, "this version cannot build the model: family: unknown model family"),
        ({"uses": ["vae"]}, "uses: found ['vae']; must be a mapping"),
        ({"uses": {"teacher": 3}}, "uses.teacher: found 3; must describe a model"),
        ({"uses": {"teacher": {}}}, "uses.teacher.family: is missing"),
        ({"scans": {"train": ["a"]}}, "'fingerprint' or 'scans' does not say what the model was"),
        ({"fingerprint": 3}, "'fingerprint' or 'scans' does not say what the model was trained on"),
        ({"size": 0, "neighbours": None}, "neighbours: found None; must be a whole number of at"),
    ],
)
def test_a_description_that_no_network_follows_from_is_refused(whole, tmp_path, changes, said):
    weights, description = whole
    content = json.loads(description.read_text())
    if isinstance(changes.get("settings"), dict):
        changes = {**changes, "settings": {**content["settings"], **changes["settings"]}}
    (tmp_path / "bundle.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(BundleError) as raised:
        load_bundle(weights, tmp_path / "bundle.json")
    assert f"{tmp_path / 'bundle.json'}: " in str(raised.value) and said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_scans_of_another_preprocessing_are_refused_with_all_differences(tmp_path):
    _, files = write(tmp_path)
    _, content = load_bundle(*files)
    check_fit(content, FINGERPRINT)
    other = json.loads(json.dumps(FINGERPRINT))
    other["preprocessing"][1]["percentile"] = 99
    other["contrasts"] = ["T1w"]
    with pytest.raises(BundleError) as error:
        check_fit(content, other)
    text = str(error.value)
    assert "preprocessing.normalise.percentile: 98 for the model, 99 for these scans" in text
    assert "contrasts: ['FLAIR'] for the model, ['T1w'] for these scans" in text


def test_scans_of_the_training_are_known_under_any_name():
    contents = {
        "sub-x": {"FLAIR": "33", "T1w": "12"},
        "sub-y": {"FLAIR": "21"},
        "sub-z": {"FLAIR": "44"},
    }
    assert scans_seen({"scans": SCANS}, contents) == {
        "sub-x": "its T1w is that of a/sub-1 (train)",
        "sub-y": "its FLAIR is that of a/sub-2 (validation)",
    }


def test_a_scan_without_digests_is_refused():
    with pytest.raises(BundleError, match="sub-q: no digest of the content"):
        scans_seen({"scans": SCANS}, {"sub-z": {"FLAIR": "44"}, "sub-q": {}})
