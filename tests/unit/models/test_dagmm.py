"""DAGMM: features and layers of the papers, the final mixture, and a collapse ends training."""

import pytest
import torch
from made_brains import HeldBatch, made_brains, tensors
from sklearn.metrics import roc_auc_score
from torch import nn

from normscan.errors import TrainingError
from normscan.models import registry
from normscan.models.dagmm import LEAST_NORM, inside, reconstruction_errors
from normscan.models.parts import density
from normscan.slices.batch import Batch
from normscan.training.loop import train


def made(contrasts=4, size=16, seed=0, **settings):
    return registry.build("dagmm", (contrasts, contrasts, size), seed=seed, **settings)


def brains(**options):
    slices, layers = made_brains(**options)
    return Batch.of(slices, layers=layers)


def layers_of(part):
    return [
        (one.in_channels, one.out_channels, one.kernel_size[0])
        for one in part
        if isinstance(one, nn.Conv2d)
    ]


@pytest.mark.parametrize(("layers", "side"), [("pixelwise", 1), ("convolutional", 3)])
def test_layers_are_those_of_the_supplement(layers, side):
    model = made(layers=layers)
    assert layers_of(model.encoder) == [(4, 32, side), (32, 16, side), (16, 8, side), (8, 3, side)]
    assert layers_of(model.decoder) == [(3, 8, 1), (8, 16, 1), (16, 32, 1), (32, 4, 1)]
    for part in (model.encoder, model.decoder):
        kinds = [nn.Conv2d, nn.Tanh] * 3 + [nn.Conv2d]
        assert [type(one) for one in part] == kinds


def test_errors_are_the_relative_distance_and_the_cosine():
    given = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.01, 0.0]])
    expected = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    distance, cosine = reconstruction_errors(given, expected)
    torch.testing.assert_close(distance, torch.tensor([0.0, 2**0.5, 0.01 / LEAST_NORM]))
    torch.testing.assert_close(cosine, torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize("layers", ["pixelwise", "convolutional"])
def test_only_the_convolutional_variant_sees_neighbours(layers):
    model = made(2, layers=layers).eval()
    slices = tensors(brains(count=1)).slices
    changed = slices.clone()
    changed[0, :, 8, 8] += 1
    differs = (model.energy(slices) != model.energy(changed))[0]
    assert differs[8, 8]
    assert (int(differs.sum()) > 1) == (layers == "convolutional")


def test_it_is_trained_on_the_brain_alone():
    """Another background, as nothing that is exactly 0, would be pixels of its own."""
    model = made(2).eval()
    small = tensors(brains(count=4)).slices
    wide = torch.nn.functional.pad(small, (8, 8, 8, 8))
    one, other = (model.losses(Batch.of(slices))["loss"] for slices in (small, wide))
    torch.testing.assert_close(one, other)
    assert (model.energy(wide)[~inside(wide)] == 0).all()


def test_validation_losses_of_slices_of_equal_size_have_the_loss_as_their_mean():
    model = made(2).eval()
    slices = tensors(brains(count=6)).slices.clamp_min(1e-3)
    found = model.validation_loss("main", Batch.of(slices))
    assert found.shape == (6,)
    torch.testing.assert_close(found.mean(), model.losses(Batch.of(slices))["loss"])


def test_the_final_mixture_is_that_of_all_training_pixels_and_finds_lesions():
    model, store = made(2, learning_rate=5e-3), HeldBatch(brains(count=24))
    history = train(model, store, store, seed=1, batch_size=5, max_epochs=15, patience=15)
    assert history[-1]["loss"] < history[0]["loss"]
    with torch.no_grad():
        features, _ = model._pixels(torch.from_numpy(store.whole.slices))
        whole = model.density.estimate(features, model.density.responsibilities(features))
    for fitted, one in zip(model.density.mixture, whole):
        torch.testing.assert_close(fitted, one, rtol=1e-4, atol=1e-6)
    patients = tensors(brains(count=12, seed=5, lesions=True))
    with torch.no_grad():
        energies = model.energy(patients.slices)
    assert energies.dtype == torch.float32 and energies.min() >= 0
    brain = patients.layers["brain"] > 0
    assert roc_auc_score(patients.layers["lesion"][brain], energies[brain]) > 0.9


def test_a_share_of_the_slices_gives_another_mixture():
    store = HeldBatch(brains(count=24))
    mixtures = []
    for share in (1.0, 0.2):
        model = made(2, fit_share=share)
        train(model, store, store, seed=1, batch_size=8, max_epochs=1)
        mixtures.append(model.density.mixture)
    assert not torch.equal(mixtures[0].means, mixtures[1].means)


def test_a_collapse_ends_the_training_unless_eigenvalues_are_bounded():
    """One contrast: its cosine similarity is the same everywhere, so that a variance is 0."""
    slices, layers = made_brains()
    store = HeldBatch(Batch.of(slices[:, :1], layers=layers))
    settings = {"learning_rate": 1e-2, "penalty_weight": 0.0}
    options = {"seed": 1, "batch_size": 8, "max_epochs": 20, "patience": 20}
    with pytest.raises(TrainingError, match="singular"):
        train(made(1, bound="none", **settings), store, store, **options)
    model = made(1, bound="eigenvalue", **settings)
    history = train(model, store, store, **options)
    assert history[-1]["log10_smallest_eigenvalue"] == pytest.approx(-6, abs=0.1)
    assert density.smallest_eigenvalue(model.density.mixture) >= 1e-6 * (1 - 1e-6)
