"""Every registered model trains, resumes, is bundled, detects and scores."""

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score
from toys import BreakingStore, Interrupted, MadeStore

from normscan.compute.devices import make_deterministic
from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.models.base import NeuralModel
from normscan.training.bundle import load_bundle, save_bundle
from normscan.training.loop import train
from tiny_study import REPOSITORY

make_deterministic()
SMALL = {
    "latent": 8,
    "learning_rate": 2e-3,
    "batch_size": 8,
    "max_epochs": 12,
    "gan_steps": 75,
}
# Families on the networks they were published with.
PUBLISHED = [
    ("vae", "you2019", "spatial"),
    ("gmvae", "you2019", "spatial"),
    ("vae", "zimmerer2019", "dense"),
    ("context_vae", "zimmerer2019", "dense"),
    ("fanogan", "schlegl2019", "dense"),
    ("constrained_aae", "chen2018", "dense"),
    ("ae", "baur2018", "spatial"),
    ("anovaegan", "baur2018", "spatial"),
]
FEW = {"steps": 30, "step_size": 0.02, "samples": 4, "tv_weight": 0.0}


def small_settings(family, changes=None):
    settings = registry.describe(family)["settings"] | (changes or {})
    return settings | {name: value for name, value in SMALL.items() if name in settings}


def trained(family, changes, store, folder):
    settings = small_settings(family, changes)
    model = registry.build(family, (1, 1, 16), seed=1, **settings)
    names = ("batch_size", "max_epochs", "patience", "precision")
    options = {name: settings[name] for name in names if name in settings}
    history = train(model, store, MadeStore(6, seed=1), seed=1, checkpoint=folder, **options)
    return model, history


def scans_with_lesions():
    """Slices of healthy shapes with a bright square in each, brain and truth."""
    slices = MadeStore(6, seed=8).slices
    truth = np.zeros((6, 16, 16), bool)
    truth[:, 6:10, 6:10] = True
    return np.where(truth[:, None], 2.5, slices).astype(np.float32), slices[:, 0] > 0, truth


MODELS = [(family, {}) for family in registry.families()]
MODELS += [(family, {"bottleneck": "spatial"}) for family in ("ae", "gmvae")]


def test_every_model_of_the_study_is_among_them():
    text = (REPOSITORY / "protocols" / "comparative_study.yaml").read_text()
    for model in yaml.safe_load(text)["models"].values():
        spatial = model.get("bottleneck") == "spatial"
        assert (model["family"], {"bottleneck": "spatial"} if spatial else {}) in MODELS


@pytest.mark.parametrize(
    ("family", "changes"), MODELS, ids=[" ".join([f, *c.values()]) for f, c in MODELS]
)
def test_it_learns_resumes_is_bundled_and_detects(tmp_path, family, changes):
    model, history = trained(family, changes, MadeStore(), None)
    with pytest.raises(Interrupted):
        trained(family, changes, BreakingStore(dies_at=10), tmp_path / "checkpoints")
    resumed, again = trained(family, changes, MadeStore(), tmp_path / "checkpoints")
    assert again == history
    if isinstance(model, NeuralModel):
        for name, value in model.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), name
    files = tmp_path / "weights.safetensors", tmp_path / "bundle.json"
    save_bundle(
        *files,
        model,
        family=family,
        settings=small_settings(family, changes),
        contrasts=["FLAIR"],
        size=16,
        fingerprint={},
        scans={},
        seed=1,
        history=history,
    )
    loaded, _ = load_bundle(*files)
    slices, brain, truth = scans_with_lesions()
    capabilities = registry.capabilities(family, small_settings(family, changes))
    used = [name for name in detectors.names() if detectors.describe(name)["needs"] <= capabilities]
    assert used
    scores = {}
    for name in used:
        settings = detectors.describe(name)["settings"]
        settings |= {key: value for key, value in FEW.items() if key in settings}
        found = detectors.load(name).detect(
            loaded,
            slices,
            brain,
            seed=0,
            device=torch.device("cpu"),
            contrasts=["FLAIR"],
            **settings,
        )
        assert found.map.shape == truth.shape and np.isfinite(found.map).all()
        scores[name] = roc_auc_score(truth[brain], np.abs(found.map)[brain])
    # A spatial code of 8x8 for slices of 16x16 can reconstruct lesions too; restorations find them.
    needed = max if changes else min
    assert needed(scores.values()) > 0.6, scores


@pytest.mark.parametrize(("family", "network", "bottleneck"), PUBLISHED)
def test_published_networks_learn_and_are_bundled(tmp_path, family, network, bottleneck):
    settings = small_settings(family) | {
        "network": network,
        "bottleneck": bottleneck,
        "latent": 2,
        "learning_rate": 1e-3,
    }
    settings |= {"gan_steps": 3} if "gan_steps" in settings else {}
    assert registry.network_problems(family, settings, "models.m") == []
    model = registry.build(family, (1, 1, 16), seed=1, **settings)
    options = {"batch_size": 6, "max_epochs": 3, "patience": 9, "precision": "float32"}
    history = train(model, MadeStore(12), MadeStore(6, seed=1), seed=1, **options)
    errors = [row["validation"] for row in history if row["validation"] is not None]
    assert min(errors[1:]) < errors[0]
    files = tmp_path / "weights.safetensors", tmp_path / "bundle.json"
    facts = {"contrasts": ["FLAIR"], "size": 16, "fingerprint": {}, "scans": {}, "seed": 1}
    save_bundle(*files, model, family=family, settings=settings, history=history, **facts)
    loaded, _ = load_bundle(*files)
    slices = torch.from_numpy(MadeStore(3, seed=2).slices)
    with torch.no_grad():
        assert torch.equal(loaded.reconstruct(slices), model.reconstruct(slices))
