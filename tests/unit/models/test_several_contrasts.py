"""Families of Kim et al. 2021's comparison on the four contrasts of that paper."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, made_brains
from sklearn.metrics import roc_auc_score

from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.slices.batch import Batch
from normscan.training.loop import train

CONTRASTS = ["FLAIR", "T2w", "T1w", "T1ce"]


def four(**options):
    """Brains of four contrasts, each of zero mean and unit variance in the brain."""
    slices, layers = made_brains(**options)
    slices = np.concatenate([slices[:, ::-1], slices], axis=1)
    inside = layers["brain"][:, None] > 0
    values = np.moveaxis(slices, 1, -1)[inside[:, 0]]
    scaled = (slices - values.mean(0)[:, None, None]) / values.std(0)[:, None, None]
    return Batch.of(np.where(inside, scaled, 0).astype(np.float32), layers=layers)


@pytest.mark.parametrize(
    ("network", "bottleneck", "detector"),
    [("unified", "dense", "reconstruction"), ("you2019", "spatial", "restoration")],
)
def test_a_gmvae_reconstructs_and_restores_four_contrasts(network, bottleneck, detector):
    model = registry.build(
        "gmvae",
        (4, 4, 16),
        seed=1,
        network=network,
        bottleneck=bottleneck,
        latent=4,
        clusters=3,
        learning_rate=2e-3,
    )
    healthy, held_out = HeldBatch(four(count=40)), HeldBatch(four(count=8, seed=1))
    history = train(model, healthy, held_out, seed=1, batch_size=8, max_epochs=8)
    errors = [row["validation"] for row in history]
    assert min(errors) < errors[0]
    scan = four(count=8, seed=2, lesions=True)
    settings = (
        {"steps": 30, "step_size": 0.02, "tv_weight": 0.1} if detector == "restoration" else {}
    )
    ready = detectors.prepare(
        detector, model, device=torch.device("cpu"), contrasts=CONTRASTS, **settings
    )
    found = ready.detect(scan, 0)
    assert found.map.shape == (8, 16, 16)
    assert found.reconstruction.shape == (8, 4, 16, 16)
    residual = scan.slices - found.reconstruction
    np.testing.assert_allclose(np.abs(found.map), np.abs(residual).mean(axis=1), atol=1e-5)
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], np.abs(found.map)[brain]) > 0.6
