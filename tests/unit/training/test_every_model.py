"""Every registered model trains, resumes, is bundled, detects and scores."""

import pytest
import torch
import yaml
from toys import MadeStore

from check_family import check_family, small_settings
from normscan.compute.devices import make_deterministic
from normscan.models import registry
from normscan.training.bundle import ModelFacts, load_bundle, save_bundle
from normscan.training.loop import train
from tiny_study import REPOSITORY

make_deterministic()
# Families on the networks they were published with.
PUBLISHED = [
    ("vae", "you2019", "spatial"),
    ("gmvae", "you2019", "spatial"),
    ("vae", "zimmerer2019", "dense"),
    ("context_vae", "zimmerer2019", "dense"),
    ("context_vae", "chatterjee2022", "dense"),
    ("vae", "chatterjee2022", "dense"),
    ("fanogan", "schlegl2019", "dense"),
    ("constrained_aae", "chen2018", "dense"),
    ("ae", "baur2018", "spatial"),
    ("anovaegan", "baur2018", "spatial"),
]
MODELS = [(family, {}) for family in registry.families()]
MODELS += [(family, {"bottleneck": "spatial"}) for family in ("ae", "gmvae")]
MODELS += [("denoising_ae", {"noise": "blobs"})]
MODELS += [("ddpm", changes) for changes in ({"patch": 8}, {"condition": True})]
MODELS += [("adm", {"features": kind}) for kind in ("translated", "reduced")]
MODELS += [(family, {"likelihood": "gaussian"}) for family in ("vae", "gmvae")]


def test_every_model_of_the_study_is_among_them():
    text = (REPOSITORY / "protocols" / "comparative_study.yaml").read_text()
    for model in yaml.safe_load(text)["models"].values():
        spatial = model.get("bottleneck") == "spatial"
        assert (model["family"], {"bottleneck": "spatial"} if spatial else {}) in MODELS


@pytest.mark.parametrize(
    ("family", "changes"), MODELS, ids=[" ".join(map(str, [f, *c.values()])) for f, c in MODELS]
)
def test_it_learns_resumes_is_bundled_and_detects(tmp_path, family, changes):
    # A spatial code of 8x8 for slices of 16x16 can reconstruct lesions too; restorations find them.
    found = check_family(family, tmp_path, changes, all_find=not changes)
    for name, area in found.items():
        of = "Dice {:.3f} of made classes" if name == "anatomy" else "AUROC {:.3f} of made lesions"
        print(f"{name}: {of.format(area)}")


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
    facts = ModelFacts(family, settings, ("FLAIR",), ("FLAIR",), 16)
    model = facts.build(seed=1)
    options = {"batch_size": 6, "max_epochs": 3, "patience": 9, "precision": "float32"}
    history = train(model, MadeStore(12), MadeStore(6, seed=1), seed=1, **options)
    errors = [row["validation"] for row in history if row["validation"] is not None]
    assert min(errors[1:]) < errors[0]
    files = tmp_path / "weights.safetensors", tmp_path / "bundle.json"
    save_bundle(*files, model, facts, fingerprint={}, scans={}, seed=1, history=history)
    loaded, _ = load_bundle(*files)
    slices = torch.from_numpy(MadeStore(3, seed=2).slices)
    with torch.no_grad():
        assert torch.equal(loaded.reconstruct(slices), model.reconstruct(slices))
