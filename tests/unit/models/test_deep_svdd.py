"""Deep SVDD: what it has no constants for, its centre, its scores."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair
from sklearn.metrics import roc_auc_score
from torch import nn

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.parts.one_class import AWAY, away_from_zero
from normscan.slices.batch import Batch
from normscan.training.loop import train


def made(**settings):
    return registry.build("deep_svdd", (1, 1, 16), seed=1, **{"latent": 8, **settings})


@pytest.mark.parametrize("network", ["unified", "chen2018", "zimmerer2019"])
def test_an_empty_slice_has_the_code_zero(network):
    """A network without constants has no other answer, whatever it has learnt."""
    encoder = made(network=network).train().encoder
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.normal_()
        assert not encoder(torch.zeros(4, 1, 16, 16))[0].any()
        assert encoder(torch.rand(4, 1, 16, 16))[0].any()


def test_the_centre_is_the_mean_code_of_a_first_pass():
    model, slices = made(), torch.rand(10, 1, 16, 16)
    parts = [Batch.of(slices[:6]), Batch.of(slices[6:])]
    expected = torch.cat([model.train().encoder(one.slices)[0] for one in parts]).mean(dim=0)
    model.start_phase("main", lambda: iter(parts))
    torch.testing.assert_close(model.centre, away_from_zero(expected.detach(), AWAY))
    assert "centre" in model.state_dict() and not model.centre.requires_grad


def test_the_centre_keeps_away_from_zero():
    found = away_from_zero(torch.tensor([-2.0, -0.01, 0.0, 0.05, 0.3]), 0.1)
    assert found.tolist() == pytest.approx([-2.0, -0.1, 0.1, 0.1, 0.3])


def test_scores_are_squared_distances_to_the_centre():
    model, slices = made().eval(), torch.rand(4, 1, 16, 16)
    model.centre.normal_()
    codes = model.encoder(slices)[0]
    expected = ((codes - model.centre) ** 2).sum(dim=1)
    torch.testing.assert_close(model.score_slices(slices), expected)
    torch.testing.assert_close(model.losses(Batch.of(slices))["loss"], expected.mean())
    torch.testing.assert_close(model.validation_loss("main", Batch.of(slices)), expected)


def test_weights_decay():
    (group,) = made(weight_decay=0.5).optimisers("main")["main"].param_groups
    assert group["weight_decay"] == 0.5


def test_a_code_without_place_is_needed():
    settings = registry.describe("deep_svdd")["settings"]
    spatial = settings | {"bottleneck": "spatial"}
    assert registry.network_problems("deep_svdd", settings, "models.m") == []
    (problem,) = registry.network_problems("deep_svdd", spatial, "models.m")
    assert "needs: dense" in problem
    with pytest.raises(ConfigError, match="bottleneck: found 'dense'; network you2019 has"):
        made(network="you2019")


def test_slices_with_lesions_score_higher():
    model = made(learning_rate=1e-3)
    healthy, held_out = flair(count=40), flair(count=10, seed=1)
    history = train(
        model, HeldBatch(healthy), HeldBatch(held_out), seed=1, batch_size=8, max_epochs=25
    )
    errors = [row["validation"] for row in history]
    assert min(errors) < 0.5 * errors[0]
    scan = flair(count=40, seed=2, lesions=True)
    device = torch.device("cpu")
    ready = detectors.prepare("slice_score", model, device=device, contrasts=["FLAIR"])
    found = ready.detect(scan, 0)
    assert found.map is None and found.reconstruction is None
    assert found.scores.dtype == np.float32 and found.scores.shape == (40,)
    assert all(not isinstance(one, nn.BatchNorm2d) for one in ready.model.modules())
    ill = scan.layers["lesion"].any(axis=(1, 2))
    assert roc_auc_score(ill, found.scores) > 0.8
