"""The denoising AE: where its noise is, what it learns, and what it detects."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, made_brains, tensors
from sklearn.metrics import roc_auc_score

from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.parts.noise import blob_noise
from normscan.slices.batch import Batch, SliceShape
from normscan.training.loop import train

SMALL = {"depth": 2, "width": 4, "grid": 4}
KINDS = ["gaussian", "blobs"]


def made(shape=(1, 1, 16), **settings):
    return registry.build("denoising_ae", SliceShape(*shape), **(SMALL | settings)).eval()


def stacked(count=24, **options):
    """Both contrasts of three slices as inputs, those of the middle one as targets."""
    slices, layers = made_brains(count, **options)
    # What is above and below is much like the slice, and healthy or not as it is.
    near = [slices, np.roll(slices, 1, axis=2), np.roll(slices, 1, axis=3)]
    return Batch(np.concatenate([near[1], near[0], near[2]], axis=1), slices, layers)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_in_the_foreground_only(kind):
    model, slices = made((2, 2, 32), noise=kind), torch.rand(20, 2, 32, 32) + 1
    slices[:, :, :10] = 0
    slices[:, 0, :20] = 0
    noise = model.noisy(slices, torch.Generator().manual_seed(0)) - slices
    assert (noise[:, :, :10] == 0).all()
    # A pixel without one of the contrasts is foreground all the same.
    assert noise[:, 0, 10:20].any() and noise[:, 1, 10:20].any()


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_have_the_noise_of_the_slice(kind):
    model, slices = made((6, 2, 32, 1), noise=kind), torch.rand(20, 6, 32, 32) + 1
    # Nothing lies below the lowest slice.
    slices[0, :2] = 0
    noisy = model.noisy(slices, torch.Generator().manual_seed(0))
    below, own, above = (noisy - slices).split(2, dim=1)
    torch.testing.assert_close(below[1:], own[1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(above, own, atol=1e-5, rtol=0)
    assert own.flatten(1).any(dim=1).sum() > 10 and (below[0] == 0).all()
    assert not torch.allclose(own[:, 0], own[:, 1])


def test_blobs_follow_the_deviation_of_the_foreground():
    model, slices = made((2, 2, 32), noise="blobs"), torch.rand(8, 2, 32, 32) + 1
    slices[:, :, :10] = 0
    drawn = [model.noisy(one, torch.Generator().manual_seed(0)) - one for one in
             (slices, 3 * slices)]  # fmt: skip
    torch.testing.assert_close(drawn[1], 3 * drawn[0], atol=1e-4, rtol=1e-4)
    unit = blob_noise(slices, 17.0, torch.Generator().manual_seed(0))[:, :, 10:]
    deviation = slices[:, :, 10:].numpy().std(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(drawn[0][:, :, 10:], unit.numpy() * deviation, atol=1e-4)


def test_the_error_is_that_of_the_foreground_of_the_slice_in_the_middle():
    model, batch = made((6, 2, 16, 1)), tensors(stacked(5))
    noisy = model.noisy(batch.slices)
    model.noisy = lambda slices: noisy
    error = (model.network(noisy) - batch.targets).numpy(force=True)
    error *= (batch.targets.numpy() != 0).any(axis=1, keepdims=True)
    losses = model.losses(batch)
    assert losses["loss"].item() == pytest.approx((error**2).mean(), rel=1e-5)
    assert losses["reconstruction"].item() == pytest.approx(np.abs(error).mean(), rel=1e-5)
    found = model.validation_loss("main", batch).numpy(force=True)
    np.testing.assert_allclose(found, (error**2).mean(axis=(1, 2, 3)), rtol=1e-5)


def test_nothing_is_expected_in_the_background():
    model, batch = made((6, 2, 16, 1)), tensors(stacked(5))
    # So that the network gives something everywhere.
    torch.nn.init.constant_(model.network.head.bias, 10.0)
    expected, inside = model.reconstruct(batch.slices), (batch.targets != 0).any(dim=1)
    assert expected.shape == batch.targets.shape
    assert (expected != 0).any(dim=1).equal(inside)


def test_random_reconstructions_are_those_of_noisy_slices():
    model, slices = made(), torch.rand(4, 1, 16, 16)
    one, same, other = (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    found = model.decode_sample(model.encode(slices), one)
    assert torch.equal(found, model.reconstruct(model.noisy(slices, same)))
    assert not torch.equal(found, model.decode_sample(slices, other))


@pytest.mark.parametrize(
    ("kind", "kept", "rate"),
    [("gaussian", torch.optim.Adam, 1e-4), ("blobs", torch.optim.AdamW, 1e-3)],
)
def test_the_learning_rate_falls_to_nothing(kind, kept, rate):
    model, batch = made(noise=kind, steps=10), tensors(stacked(4))
    batch = Batch.of(batch.targets[:, 1:])
    update, rates = Updates(model.optimisers("main")), []
    assert type(update.optimisers["main"]) is kept
    for update.step in (0, 5, 10):
        model.training_step("main", batch, update)
        rates.append(update.optimisers["main"].param_groups[0]["lr"])
    assert rates == pytest.approx([rate, rate / 2, 0])


def test_all_steps_are_taken_and_the_best_epoch_is_kept():
    """24 slices in batches of 8, at a rate at which nothing improves for long."""
    model = made((6, 2, 16, 1), steps=20, learning_rate=0.3)
    history = train(model, HeldBatch(stacked()), HeldBatch(stacked(8, seed=1)), seed=1,
                    batch_size=8, patience=1)  # fmt: skip
    assert len(history) == 7
    validation = [row["validation"] for row in history]
    assert [row["best"] for row in history].count(True) < 7
    best = max(row["epoch"] for row in history if row["best"])
    assert validation[best - 1] == min(validation)


@pytest.mark.parametrize("kind", KINDS)
def test_lesions_are_found_with_neighbours_and_several_contrasts(kind):
    model = registry.build("denoising_ae", SliceShape(6, 2, 16, 1), seed=1, noise=kind, steps=120,
                           learning_rate=1e-2, **SMALL)  # fmt: skip
    train(model, HeldBatch(stacked()), HeldBatch(stacked(8, seed=1)), seed=1, batch_size=8)
    scan, healthy = stacked(12, seed=2, lesions=True), stacked(12, seed=2)
    contrasts = ["T1w", "FLAIR"]
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    for name, settings in (("reconstruction", {}), ("averaged_reconstruction", {"draws": 4})):
        ready = detectors.prepare(
            name, model, device=torch.device("cpu"), contrasts=contrasts, **settings
        )
        found = np.abs(ready.detect(scan, 0).map)
        assert roc_auc_score(lesion[brain], found[brain]) > 0.85
        # Noise is taken away: nearer to the slice than to nothing.
        assert np.abs(ready.detect(healthy, 0).map)[brain].mean() < 0.15


@pytest.mark.parametrize("network", ["unet", "monai_unet"])
def test_other_networks_fit(network):
    model = made(network=network)
    assert model.reconstruct(torch.rand(2, 1, 16, 16)).shape == (2, 1, 16, 16)
