"""Density estimation: mixtures against scikit-learn and SciPy, their gradients, and the bound."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from normscan.errors import ConfigError, TrainingError
from normscan.models.parts.density import (
    DensityEstimator,
    Mixture,
    Moments,
    bound_below,
    energy,
    evenly_chosen,
    offset,
    penalty,
    smallest_eigenvalue,
)
from normscan.slices.batch import Batch


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def responsibilities(count, components=6, seed=1):
    return random(count, components, seed=seed).double().softmax(dim=1)


def mixture_of(features, shares=None):
    shares = responsibilities(len(features)) if shares is None else shares
    return Moments.of(features, shares).mixture()


def outer_product_form(features, shares):
    """Weights, means and covariances as DAGMM is usually written: (n, k, d, d) outer products."""
    sums = shares.sum(dim=0)
    means = (shares.unsqueeze(2) * features.unsqueeze(1)).sum(dim=0) / sums[:, None]
    moved = features.unsqueeze(1) - means
    outer = moved.unsqueeze(3) * moved.unsqueeze(2)
    covariances = (shares[:, :, None, None] * outer).sum(dim=0) / sums[:, None, None]
    return Mixture(sums / len(features), means, covariances)


def test_a_mixture_is_that_of_an_m_step_of_scikit_learn():
    features = random(400, 3).double()
    shares = responsibilities(400, 4).double()
    reference = GaussianMixture(4, reg_covar=0)
    reference._initialize(features.numpy(), shares.numpy())
    ours = mixture_of(features, shares)
    np.testing.assert_allclose(ours.weights, reference.weights_, rtol=1e-10)
    np.testing.assert_allclose(ours.means, reference.means_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.covariances, reference.covariances_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        energy(features, ours), -reference.score_samples(features.numpy()), rtol=1e-8
    )


def test_energies_are_those_of_scipy_also_far_away():
    mixture = mixture_of(random(300, 5))
    far = torch.cat([random(20, 5, seed=2), 1e3 * random(20, 5, seed=3)])
    terms = [
        np.log(float(weight)) + multivariate_normal(mean.numpy(), covariance.numpy()).logpdf(far)
        for weight, mean, covariance in zip(*mixture)
    ]
    np.testing.assert_allclose(energy(far, mixture), -logsumexp(terms, axis=0), rtol=1e-8)


def test_no_energy_is_below_the_offset_and_one_component_reaches_it():
    features = random(500, 3)
    mixture = mixture_of(features)
    assert (energy(features, mixture) >= offset(mixture)).all()
    single = mixture_of(features, torch.ones(500, 1))
    at_mean = energy(single.means, single)
    torch.testing.assert_close(at_mean[0], offset(single))


def test_gradients_are_those_of_the_outer_product_form():
    found = []
    for make in (outer_product_form, mixture_of):
        features = random(300, 7).double().requires_grad_()
        logits = random(300, 6, seed=4).double().requires_grad_()
        mixture = make(features, logits.softmax(dim=1))
        loss = energy(features, mixture).mean() + 1e-3 * penalty(mixture)
        found.append([loss, *torch.autograd.grad(loss, [features, logits])])
    for theirs, ours in zip(*found):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_single_precision_features_lose_nothing_near_the_bound():
    """Means far from 0 beside a variance of 1e-6: single precision sums would leave noise."""
    features = random(4000, 2) * torch.tensor([1.0, 1e-3]) + torch.tensor([3.0, 5.0])
    shares = responsibilities(4000)
    exact = outer_product_form(features.double(), shares.double())
    ours = mixture_of(features, shares)
    torch.testing.assert_close(ours.covariances, exact.covariances, rtol=1e-6, atol=0)


def test_moments_of_parts_add_up_to_those_of_the_whole():
    features, shares = random(500, 4), responsibilities(500)
    whole = Moments.of(features, shares).mixture()
    sums = Moments.of(features[:123], shares[:123]) + Moments.of(features[123:], shares[123:])
    for one, other in zip(whole, sums.mixture()):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_a_component_without_pixels_leaves_energies_and_gradients_finite():
    features = random(100, 3).requires_grad_()
    shares = torch.cat([torch.ones(100, 1), torch.zeros(100, 1)], dim=1).requires_grad_()
    mixture = DensityEstimator(3, 2).estimate(features, shares)
    found = energy(features, mixture)
    alone = energy(features, mixture_of(features, torch.ones(100, 1)))
    torch.testing.assert_close(found, alone)
    found.mean().backward()
    assert features.grad.isfinite().all() and shares.grad.isfinite().all()


def test_the_bound_raises_small_eigenvalues_and_leaves_the_others():
    turn = torch.linalg.qr(random(3, 3).double())[0]
    values = torch.tensor([1e-9, 1e-3, 2.0], dtype=torch.float64)
    matrix = turn @ values.diag() @ turn.T
    raised = torch.linalg.eigvalsh(bound_below(matrix, 1e-6))
    torch.testing.assert_close(raised, values.clamp_min(1e-6))
    regular = turn @ values.clamp_min(1e-5).diag() @ turn.T
    assert torch.equal(bound_below(regular, 1e-6), regular)


@pytest.mark.parametrize("bound", [1e-6, 0.5, 100])
def test_the_gradient_of_the_bound_is_that_of_finite_differences(bound):
    start = random(4, 3, 3, seed=5).double()
    start = (start @ start.mT).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: bound_below((x + x.mT) / 2, bound), start)


def test_the_gradient_of_the_bound_is_finite_at_equal_eigenvalues():
    """That of eigenvectors is not: it divides by the eigenvalues' differences."""
    for scale, slope in ((1.0, 1.0), (1e-9, 0.0)):
        matrix = (scale * torch.eye(3, dtype=torch.float64)).requires_grad_()
        (found,) = torch.autograd.grad(bound_below(matrix, 1e-6).sum(), matrix)
        torch.testing.assert_close(found, torch.full((3, 3), slope, dtype=torch.float64))


COLLAPSED = {
    "line": random(200, 1) * torch.tensor([1.0, 2.0, -1.0]),
    "constant": random(200, 3) * torch.tensor([1.0, 0.0, 1.0]) + 0.3,
    "point": torch.ones(200, 3),
}


@pytest.mark.parametrize("name", COLLAPSED)
def test_the_bound_keeps_collapsed_features_apart_from_others(name):
    features = COLLAPSED[name].clone().requires_grad_()
    estimator = DensityEstimator(3).eval()
    mixture = estimator.estimate(features, estimator.responsibilities(features))
    assert smallest_eigenvalue(mixture) == pytest.approx(1e-6, rel=1e-6)
    found = energy(features, mixture)
    found.mean().backward()
    assert features.grad.isfinite().all()
    away = energy(features.detach() + torch.tensor([0.0, 1.0, 0.0]), mixture)
    assert away.min() > found.max() + 1000


@pytest.mark.parametrize("bound", ["none", "penalty"])
@pytest.mark.parametrize("name", COLLAPSED)
def test_without_the_bound_collapsed_features_are_a_clear_error(name, bound):
    features = COLLAPSED[name]
    estimator = DensityEstimator(3, bound=bound).eval()
    with pytest.raises(TrainingError, match=r"component 1 of 6.*singular.*bound: eigenvalue"):
        estimator.estimate(features, estimator.responsibilities(features))


def test_without_the_bound_regular_covariances_are_as_they_are():
    features, shares = random(200, 3), responsibilities(200)
    free = DensityEstimator(3, bound="none").estimate(features, shares)
    bounded = DensityEstimator(3).estimate(features, shares)
    assert torch.equal(free.covariances, bounded.covariances)


def test_features_that_are_not_finite_are_an_error():
    features = random(50, 3)
    features[7, 1] = torch.nan
    with pytest.raises(TrainingError, match="not finite"):
        DensityEstimator(3).estimate(features, responsibilities(50))


def test_another_word_for_the_bound_is_refused():
    with pytest.raises(ConfigError, match="bound: found 'ridge'.*eigenvalue"):
        DensityEstimator(3, bound="ridge")


def test_the_penalty_is_the_sum_of_inverse_variances():
    variances = torch.tensor([[1.0, 0.5, 0.25], [2.0, 4.0, 0.1]], dtype=torch.float64)
    mixture = Mixture(torch.ones(2) / 2, torch.zeros(2, 3), torch.diag_embed(variances))
    assert float(penalty(mixture)) == pytest.approx(1 + 2 + 4 + 0.5 + 0.25 + 10)


def test_the_fitted_mixture_is_kept_with_the_weights():
    features = random(300, 3)
    estimator = DensityEstimator(3).eval()
    shares = estimator.responsibilities(features)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(300))
    estimator.fit(Moments.of(features, shares))
    again = DensityEstimator(3).eval()
    again.load_state_dict(estimator.state_dict())
    for one, other in zip(again.mixture, estimator.estimate(features, shares)):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, range(10)), (0.5, [0, 2, 4, 6, 8]), (0.01, [0])]
)
def test_a_share_of_slices_is_spread_evenly_whatever_the_batches(share, expected):
    slices = torch.arange(10.0).view(10, 1, 1, 1)
    for size in (3, 10):
        batches = map(Batch.of, slices.split(size))
        found = torch.cat(list(evenly_chosen(batches, share))).flatten().tolist()
        assert found == list(expected)
