"""Deep SVDD of pixels: each alone, no constants, the brain's pixels only."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, made_brains, tensors
from sklearn.metrics import roc_auc_score
from torch import nn

from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.models.parts.one_class import AWAY, away_from_zero
from normscan.slices.batch import Batch
from normscan.training.loop import train


def brains(**options):
    slices, layers = made_brains(**options)
    return Batch.of(slices, layers=layers)


def made(contrasts=2, size=16, **settings):
    return registry.build("pixel_svdd", (contrasts, contrasts, size), seed=1, **settings)


def test_the_layers_of_kim_et_al():
    layers = [
        (m.in_channels, m.out_channels, m.kernel_size, m.bias)
        for m in made(contrasts=4).modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert layers == [(4, 8, (1, 1), None), (8, 8, (1, 1), None), (8, 3, (1, 1), None)]
    parameters = sum(one.numel() for one in made(contrasts=4).parameters())
    assert parameters == 4 * 8 + 8 * 8 + 8 * 3  # None of norms.


def test_energies_are_squared_distances_of_each_pixel_alone():
    model = made(contrasts=3).eval()
    model.centre.normal_()
    slices = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = model.energy(slices)
    codes = model.network(slices[1, :, 5, 9].view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(found[1, 5, 9], (codes - model.centre).square().sum())
    moved = model.energy(slices.roll((3, 4), dims=(2, 3)))
    torch.testing.assert_close(moved, found.roll((3, 4), dims=(1, 2)))


def test_training_sees_the_brain_alone():
    """Norms go by its pixels too: whatever lies outside changes no loss and no centre."""
    batch = tensors(brains(count=6))
    inside = batch.layers["brain"][:, None] > 0
    loud = Batch.of(torch.where(inside, batch.slices, 9), layers=batch.layers)
    model, other = made(), made()
    for one, own in ((model, batch), (other, loud)):
        one.start_phase("main", lambda own=own: iter([own]))
    assert torch.equal(model.centre, other.centre)
    assert torch.equal(model.losses(batch)["loss"], other.losses(loud)["loss"])
    torch.testing.assert_close(
        model.eval().validation_loss("main", batch), other.eval().validation_loss("main", loud)
    )


def test_the_centre_is_the_mean_code_of_all_pixels():
    batch = tensors(brains(count=6))
    model = made()
    model.start_phase("main", lambda: iter([batch]))
    vectors = batch.slices.permute(0, 2, 3, 1)[batch.layers["brain"] > 0]
    codes = made().train().network(vectors.T[None, :, None])[0, :, 0]
    torch.testing.assert_close(model.centre, away_from_zero(codes.detach().mean(dim=1), AWAY))


def test_validation_is_the_mean_over_each_slice():
    batch, model = tensors(brains(count=3)), made().eval()
    found = model.validation_loss("main", batch)
    expected = [
        energy[brain > 0].mean()
        for energy, brain in zip(model.energy(batch.slices), batch.layers["brain"])
    ]
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_lesions_lie_far_from_the_centre(precision):
    model = made(learning_rate=1e-2)
    healthy, held_out = brains(count=40), brains(count=10, seed=1)
    history = train(
        model,
        HeldBatch(healthy),
        HeldBatch(held_out),
        seed=1,
        batch_size=8,
        max_epochs=10,
        precision=precision,
    )
    errors = [row["validation"] for row in history]
    assert min(errors) < 0.5 * errors[0]
    scan = brains(count=12, seed=2, lesions=True)
    device = torch.device("cpu")
    contrasts = ["T1w", "FLAIR"]
    ready = detectors.prepare("pixel_energy", model, device=device, contrasts=contrasts)
    found = ready.detect(scan, 0).map
    assert found.dtype == np.float32 and (found >= 0).all()
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], found[brain]) > 0.9
