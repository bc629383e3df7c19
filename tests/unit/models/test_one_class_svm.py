"""One-class SVM of pixels: scikit-learn's decision function, its order, what it is fitted on."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, made_brains, tensors
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.models.base import load_weights
from normscan.models.one_class_svm import TOLERANCE
from normscan.slices.batch import Batch
from normscan.training.loop import train


def brains(**options):
    slices, layers = made_brains(**options)
    return Batch.of(slices, layers=layers)


def made(contrasts=2, **settings):
    return registry.build("one_class_svm", (contrasts, contrasts, 16), **settings)


def fitted(whole, **settings):
    model = made(whole.slices.shape[1], **settings)
    history = train(model, HeldBatch(whole), HeldBatch(whole), seed=1, batch_size=7)
    return model, history


def vectors_of(batch):
    """Intensities of the brain's pixels (m, contrasts)."""
    return np.moveaxis(batch.slices, 1, -1)[batch.layers["brain"] > 0]


@pytest.mark.parametrize(("nu", "gamma"), [(0.2, None), (0.02, 3.0)])
def test_the_decision_is_that_of_scikit_learn(nu, gamma):
    """All pixels are few enough to be fitted on; the order of the pixels changes little."""
    batch = brains(count=6)
    model, history = fitted(batch, nu=nu, gamma=gamma)
    vectors = vectors_of(batch).astype(float)
    tolerance = TOLERANCE * nu * len(vectors)
    own = OneClassSVM(nu=nu, gamma=gamma or 1 / 2, tol=tolerance).fit(vectors)
    assert history[0]["pixels"] == len(vectors)
    assert model.coefficients.sum() == pytest.approx(nu * len(vectors), rel=1e-5)
    assert model.offset == pytest.approx(own.offset_[0], rel=1e-4)
    asked = np.random.default_rng(1).normal(0.5, 1, (5000, 2)).astype(np.float32)
    found = model.decision(torch.from_numpy(asked)).numpy()
    np.testing.assert_allclose(found, own.decision_function(asked), atol=1e-4 * nu * len(vectors))
    assert (found < 0).any() and (found > 0).any()


def test_scores_follow_from_the_support_vectors_alone():
    """The same support vectors in scikit-learn give the same decisions, to rounding."""
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (500, 4)).astype(np.float32)
    own = OneClassSVM(nu=0.1, gamma="auto").fit(vectors)
    model = made(4)
    model.support = torch.from_numpy(own.support_vectors_).float()
    model.coefficients = torch.from_numpy(own.dual_coef_[0]).float()
    model.offset = torch.tensor(own.offset_[0]).float()
    slices = torch.from_numpy(random.normal(0, 2, (3, 4, 16, 16)).astype(np.float32))
    asked = slices.permute(0, 2, 3, 1).reshape(-1, 4)
    expected = own.decision_function(asked.double().numpy())
    np.testing.assert_allclose(model.decision(asked).numpy(), expected, atol=1e-4)
    energy = model.energy(slices)
    assert energy.shape == (3, 16, 16) and energy.dtype == torch.float32 and (energy >= 0).all()
    found = model.coefficients.sum() * torch.exp(-energy.double()) - model.offset
    np.testing.assert_allclose(found.flatten().numpy(), expected, atol=1e-4)


def test_the_energy_of_one_support_vector_is_its_scaled_squared_distance():
    model = made(gamma=0.7)
    model.support = torch.tensor([[1.0, -2.0]])
    asked = torch.tensor([[1.0, -2.0], [1.0, -1.0], [31.0, 38.0]])
    expected = 0.7 * torch.tensor([0.0, 1.0, 900.0 + 1600.0])
    torch.testing.assert_close(model.energies(asked), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [2, 300, 3000])
def test_a_slice_has_the_same_bits_in_any_batch(count):
    model, random = made(), torch.Generator().manual_seed(0)
    model.support = torch.randn(count, 2, generator=random)
    model.coefficients = torch.rand(count, generator=random)
    slices = torch.randn(3, 2, 32, 32, generator=random)
    alone = torch.cat([model.energy(one[None]) for one in slices])
    assert torch.equal(model.energy(slices), alone)


def test_pixels_far_from_everything_keep_their_order():
    """Where the decision function itself is -offset in 32 bits."""
    model, _ = fitted(brains(count=4), nu=0.1)
    far = torch.linspace(30, 90, 20)[:, None].expand(-1, 2)
    decision, energies = model.decision(far), model.energies(far)
    assert (decision == -model.offset).all()
    assert (energies.diff() > 0).all()


@pytest.mark.parametrize("contrasts", [1, 4])
def test_the_kernel_narrows_with_fewer_contrasts(contrasts):
    assert made(contrasts).gamma == 1 / contrasts
    assert made(contrasts, gamma=2.0).gamma == 2


def test_about_nu_of_the_pixels_lie_outside():
    """At most nu by the first property of Schölkopf et al., Proposition 3."""
    batch = brains(count=20)
    noise = np.random.default_rng(0).normal(0, 0.1, batch.slices.shape).astype(np.float32)
    noisy = Batch.of(batch.slices + noise, layers=batch.layers)
    model, history = fitted(noisy, nu=0.1, samples=2000)
    assert history[0]["pixels"] == 2000
    assert 0.09 < history[0]["outside"] <= 0.1
    assert history[0]["support_vectors"] >= 0.1 * 2000
    decision = model.decision(torch.from_numpy(vectors_of(noisy)))
    assert (decision < 0).double().mean() == pytest.approx(0.1, abs=0.02)


def test_background_is_left_out():
    """Whatever is there: nothing changes."""
    batch = brains(count=4)
    loud = np.where(batch.layers["brain"][:, None] > 0, batch.slices, 9).astype(np.float32)
    model, _ = fitted(batch, nu=0.1, samples=300)
    other, _ = fitted(Batch.of(loud, layers=batch.layers), nu=0.1, samples=300)
    assert torch.equal(model.support, other.support)


def test_the_pixels_follow_from_the_seed():
    batch = brains(count=10)
    one, other, third = (made(2, nu=0.1, samples=200) for _ in range(3))
    for model, seed in ((one, 1), (other, 1), (third, 2)):
        train(model, HeldBatch(batch), HeldBatch(batch), seed=seed)
    assert torch.equal(one.support, other.support) and torch.equal(one.offset, other.offset)
    assert not torch.equal(one.offset, third.offset)


def test_it_is_loaded_whatever_its_size():
    model, _ = fitted(brains(count=4), nu=0.1)
    other = made()
    load_weights(other, model.state_dict())
    slices = tensors(brains(count=2, seed=5)).slices
    assert torch.equal(other.energy(slices), model.energy(slices))


def test_lesions_lie_outside():
    model, _ = fitted(brains(count=24), nu=5e-3)
    scan = brains(count=12, seed=2, lesions=True)
    ready = detectors.prepare(
        "pixel_energy", model, device=torch.device("cpu"), contrasts=["T1w", "FLAIR"]
    )
    found = ready.detect(scan, 0).map
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], found[brain]) > 0.95
