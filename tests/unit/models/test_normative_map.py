"""Normative map: means and spreads of made scans as NumPy and SciPy have them, and few of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_brains import HeldBatch
from scipy.ndimage import gaussian_filter
from scipy.optimize import fsolve
from scipy.spatial.distance import mahalanobis
from scipy.stats import multivariate_normal, norm

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError, NormscanError, TrainingError
from normscan.models import registry
from normscan.models.parts import voxelwise
from normscan.models.parts.voxelwise import huber_constants
from normscan.slices.batch import Batch
from normscan.training.loop import train

SIZE, DEPTH = 8, 5
PLAIN = {"passes": 0, "mean_smoothing": 0, "spread_smoothing": 0, "floor": 0}
CPU = torch.device("cpu")


def volumes(scans=20, contrasts=1, seed=0):
    """Brains (scans, DEPTH, contrasts, SIZE, SIZE) whose mean and spread differ between voxels."""
    random = np.random.default_rng(seed)
    place = DEPTH, contrasts, SIZE, SIZE
    mean, spread = random.uniform(0.5, 1, place), random.uniform(0.05, 0.2, place)
    common = random.normal(0, 1, (scans, DEPTH, 1, SIZE, SIZE))
    values = mean + spread * (0.5 * common + random.normal(0, 1, (scans, *place)))
    return values.astype(np.float32)


def batch_of(values, brain=None, lowest=0, grid=DEPTH):
    """One batch of scans; ``brain`` (scans, DEPTH, SIZE, SIZE), default everywhere."""
    scans, depth, contrasts = values.shape[:3]
    brain = np.ones((scans, depth, SIZE, SIZE), bool) if brain is None else brain
    slices = (values * brain[:, :, None]).reshape(-1, contrasts, SIZE, SIZE)
    positions = np.tile((lowest + np.arange(depth)) / (grid - 1), scans).astype(np.float32)
    layers = {"brain": brain.reshape(-1, SIZE, SIZE).astype(np.int16)}
    return Batch.of(slices, layers=layers, position=positions)


def fitted(batch, batch_size=7, **settings):
    contrasts = batch.slices.shape[1]
    model = registry.build("normative_map", (contrasts, contrasts, SIZE), **settings)
    held = HeldBatch(batch)
    (row,) = train(model, held, held, seed=1, batch_size=batch_size)
    return model, row


def spreads(model):
    return model._variances(model.covariance).sqrt().numpy()


def first_scan(batch, depth=DEPTH):
    """Slices and positions of the first scan, as tensors."""
    return torch.from_numpy(batch.slices[:depth]), torch.from_numpy(batch.position[:depth])


def test_mean_and_deviation_are_those_of_numpy():
    """Brains differ, and scans stand in any order."""
    values = volumes()
    brain = np.random.default_rng(1).random((20, DEPTH, SIZE, SIZE)) < 0.9
    batch = batch_of(values, brain)
    order = np.random.default_rng(2).permutation(len(batch))
    shuffled = Batch.of(
        batch.slices[order],
        layers={"brain": batch.layers["brain"][order]},
        position=batch.position[order],
    )
    model, row = fitted(shuffled, **PLAIN, least_scans=2)
    own = np.ma.array(values, mask=~brain[:, :, None])
    np.testing.assert_allclose(model.mean, own.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(spreads(model) ** 2 - 1e-6, own.var(axis=0, ddof=1), rtol=1e-3)
    assert row["scans"] == 20 and row["voxels"] == DEPTH * SIZE**2 and row["rare"] == 0
    z = model.deviations_at(*first_scan(batch)).numpy()
    inside = brain[0][:, None]
    expected = (values[0] - own.mean(axis=0)) / np.sqrt(own.var(axis=0, ddof=1) + 1e-6)
    np.testing.assert_allclose(z[inside], expected[inside], rtol=1e-3, atol=1e-4)
    found = model.expected_at(*first_scan(batch)).numpy()
    np.testing.assert_array_equal(found, model.mean.numpy() * inside)


def test_several_contrasts_as_scipy_has_them():
    values = volumes(contrasts=3)
    batch = batch_of(values)
    model, _ = fitted(batch, **PLAIN)
    slices, positions = first_scan(batch)
    distance = model.distances_at(slices, positions).numpy()
    surprise = model.surprise_at(slices, positions).numpy()
    density = np.empty_like(surprise)
    peaks = []
    for place in np.ndindex(DEPTH, SIZE, SIZE):
        z, x, y = place
        own = values[:, z, :, x, y]
        mean, covariance = own.mean(axis=0), np.cov(own.T) + 1e-6 * np.eye(3)
        expected = mahalanobis(own[0], mean, np.linalg.inv(covariance))
        assert distance[place] == pytest.approx(expected, rel=1e-3)
        density[place] = multivariate_normal.logpdf(own[0], mean, covariance)
        peaks.append(multivariate_normal.logpdf(mean, mean, covariance))
    np.testing.assert_allclose(surprise, max(peaks) - density, rtol=1e-3, atol=1e-3)
    assert (surprise >= 0).all()


@pytest.mark.parametrize("clip", [1.5, 2.5])
def test_estimates_solve_hubers_equations(clip, monkeypatch):
    monkeypatch.setattr(voxelwise, "SETTLED", 1e-6)
    values = volumes(scans=15)
    values[:2] += 1
    model, row = fitted(batch_of(values), **{**PLAIN, "clip": clip, "passes": 300}, batch_size=100)
    assert 2 < row["passes"] < 300 and row["change"] < 1e-6
    kappa = norm.expect(lambda x: min(x**2, clip**2), lb=-np.inf, ub=np.inf)
    assert huber_constants(clip, 1) == (pytest.approx(clip), pytest.approx(kappa, rel=1e-6))
    for z, x, y in [(0, 0, 0), (2, 3, 4), (4, 7, 7)]:
        own = values[:, z, 0, x, y].astype(float)

        def equations(solution, own=own):
            r = (own - solution[0]) / solution[1]
            w = np.minimum(1, clip / np.maximum(np.abs(r), 1e-9))
            # The mean weighs; the variance is of clipped residuals, with the least one added.
            added = 1e-6 / solution[1] ** 2
            return (w * r).sum(), (w**2 * r**2).sum() / (len(own) - 1) / kappa + added - 1

        start = np.median(own), own.std()
        expected = fsolve(equations, start, xtol=1e-10)
        assert model.mean[z, 0, x, y] == pytest.approx(expected[0], rel=1e-4)
        assert spreads(model)[z, 0, x, y] == pytest.approx(expected[1], rel=1e-4)


def test_lesions_in_some_scans_have_little_influence():
    """2 of 20 with a very bright square, wherever it is."""
    values = volumes()
    clean, _ = fitted(batch_of(values))
    ill = values.copy()
    ill[:2, 1:4, :, 2:6, 2:6] += 5
    found, _ = fitted(batch_of(ill))
    plain, _ = fitted(batch_of(ill), passes=0)
    square = np.s_[1:4, :, 2:6, 2:6]
    clean_spread = spreads(clean)[square]
    assert (spreads(found)[square] / clean_spread).max() < 2
    assert (spreads(plain)[square] / clean_spread).min() > 4
    shift = (found.mean - clean.mean).abs().numpy()[square]
    assert (shift / clean_spread).max() < 0.5
    assert ((plain.mean - clean.mean).abs().numpy()[square] / clean_spread).min() > 1
    z = found.deviations_at(*first_scan(batch_of(ill))).numpy()
    assert z[square].min() > 8 and np.median(np.abs(z)) < 2


@pytest.mark.parametrize("contrasts", [1, 3])
def test_spreads_of_normal_data_are_not_too_small(contrasts):
    values = volumes(scans=400, contrasts=contrasts)
    robust, _ = fitted(batch_of(values), **{**PLAIN, "passes": 10}, batch_size=200)
    plain, _ = fitted(batch_of(values), **PLAIN, batch_size=200)
    ratio = robust.covariance / plain.covariance
    assert ratio.median().item() == pytest.approx(1, abs=0.02)


def test_batches_change_no_bit():
    batch = batch_of(volumes(contrasts=2))
    found = [fitted(batch, batch_size=size)[0].state_dict() for size in (1, 7, 100)]
    for other in found[1:]:
        assert all(torch.equal(value, other[name]) for name, value in found[0].items())


def test_smoothing_is_normalised_by_coverage():
    values = volumes()
    brain = np.zeros((20, DEPTH, SIZE, SIZE), bool)
    brain[:, 1:, 2:, :5] = True
    model, _ = fitted(batch_of(values, brain), **{**PLAIN, "mean_smoothing": 1.2})

    def smooth(array):
        return gaussian_filter(array.astype(float), 1.2, mode="constant")

    covered = brain[0]
    expected = smooth(values.mean(axis=0)[:, 0] * covered) / smooth(covered)
    np.testing.assert_allclose(model.mean[:, 0].numpy()[covered], expected[covered], rtol=1e-5)
    constant, _ = fitted(batch_of(np.full_like(values, 0.7), brain))
    np.testing.assert_allclose(constant.mean, 0.7, rtol=1e-6)


def test_spread_is_smoothed_about_the_mean():
    values = volumes()
    model, _ = fitted(batch_of(values), **{**PLAIN, "spread_smoothing": 1.0})
    ones = gaussian_filter(np.ones((DEPTH, SIZE, SIZE)), 1.0, mode="constant")
    own = gaussian_filter(values.var(axis=0, ddof=1)[:, 0].astype(float), 1.0, mode="constant")
    np.testing.assert_allclose(spreads(model)[:, 0] ** 2 - 1e-6, own / ones, rtol=1e-3)


def test_no_spread_is_below_the_floor():
    values = volumes()
    values[:, :, :, :4] = values[:1, :, :, :4]
    model, _ = fitted(batch_of(values), **{**PLAIN, "floor": 0.5})
    within = values.var(axis=0, ddof=1)
    whole = within.mean() + values.mean(axis=0).var()
    np.testing.assert_allclose(spreads(model) ** 2, within + 0.25 * whole + 1e-6, rtol=1e-3)
    assert model.distances_at(*first_scan(batch_of(values))).isfinite().all()


def test_voxels_that_few_scans_have_get_the_wide_spread():
    """Some have brain in 3 scans, some in none; there the mean is that of all."""
    values = volumes()
    brain = np.ones((20, DEPTH, SIZE, SIZE), bool)
    brain[3:, :, 0] = False
    brain[:, :, 1] = False
    model, row = fitted(batch_of(values, brain), **PLAIN, least_scans=5)
    own = np.ma.array(values, mask=~brain[:, :, None])
    counts = brain.sum(axis=0)[:, None]
    mean = np.ma.average(own.mean(axis=0), weights=counts)
    within = np.ma.average(own.var(axis=0, ddof=1), weights=np.maximum(counts - 1, 0))
    whole = within + np.ma.average((own.mean(axis=0) - mean) ** 2, weights=counts)
    assert row["rare"] == pytest.approx(1 / 7)
    np.testing.assert_allclose(spreads(model)[:, :, :2], np.sqrt(whole + 1e-6), rtol=1e-4)
    assert (spreads(model)[:, :, 2:] < 1.4 * np.sqrt(own.var(axis=0, ddof=1)[:, :, 2:] + 1)).all()
    np.testing.assert_allclose(model.mean[:, :, 0], own[:3].mean(axis=0)[:, :, 0], rtol=1e-5)
    np.testing.assert_allclose(model.mean[:, :, 1], mean, rtol=1e-5)


def test_a_grid_that_scans_fill_in_part():
    """Above what healthy scans have the mean is that of all voxels."""
    values = volumes()
    model, _ = fitted(batch_of(values, lowest=3, grid=20), **PLAIN)
    np.testing.assert_allclose(model.mean[3 : 3 + DEPTH], values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.mean[8:], values.mean(), rtol=1e-5)
    assert len(model.mean) == 18 + 2
    slices, at = torch.ones(1, 1, SIZE, SIZE), torch.tensor([7 / 19])
    np.testing.assert_array_equal(model.expected_at(slices, at), model.mean[7:8])


def test_a_few_scans_are_refused():
    with pytest.raises(TrainingError, match="of 4 scan.*needs at least 5.*least_scans"):
        fitted(batch_of(volumes(scans=4)))
    fitted(batch_of(volumes(scans=4)), least_scans=4)


def test_slices_without_positions_are_refused():
    with pytest.raises(NormscanError, match="without positions"):
        fitted(replace(batch_of(volumes()), position=None))


@pytest.fixture
def two_contrasts():
    values = volumes(contrasts=2)
    model, _ = fitted(batch_of(values[1:]))
    scan = batch_of(values[:1])
    scan.slices[2, 0, 3, 3] += 3
    scan.slices[2, 1, 3, 5] -= 3
    scan.layers["brain"][:, 0] = 0
    return model, scan


def detected(model, scan, **settings):
    ready = detectors.prepare(
        "normative_z", model, device=CPU, contrasts=["T1w", "FLAIR"], **settings
    )
    return ready.detect(scan, 0)


@pytest.mark.parametrize("score", ["distance", "log_p"])
def test_maps_are_what_the_model_says_with_a_sign(two_contrasts, score):
    model, scan = two_contrasts
    found = detected(model, scan, score=score, batch_size=2)
    judge = model.distances_at if score == "distance" else model.surprise_at
    expected = judge(*first_scan(scan)).numpy()
    np.testing.assert_allclose(np.abs(found.map[:, 1:]), expected[:, 1:], rtol=1e-4, atol=1e-4)
    assert found.map[2, 3, 3] > 8 and found.map[2, 3, 5] < -8
    assert (found.map[:, 0] == 0).all()
    np.testing.assert_array_equal(
        found.reconstruction, model.expected_at(*first_scan(scan)).numpy()
    )


def test_a_single_contrast(two_contrasts):
    model, scan = two_contrasts
    found = detected(model, scan, contrast="FLAIR").map
    expected = model.deviations_at(*first_scan(scan))[:, 1].numpy()
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=1e-4, atol=1e-4)
    assert abs(found[2, 3, 3]) < 5 and found[2, 3, 5] < -8


def test_of_one_contrast_the_distance_is_the_z_score():
    values = volumes()
    model, _ = fitted(batch_of(values[1:]))
    ready = detectors.prepare("normative_z", model, device=CPU, contrasts=["FLAIR"])
    scan = batch_of(values[:1])
    expected = model.deviations_at(*first_scan(scan))[:, 0].numpy()
    np.testing.assert_allclose(ready.detect(scan, 0).map, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contrast": "T2w"}, "contrast: found 'T2w', but the model sees T1w, FLAIR"),
        ({"contrast": "FLAIR", "score": "log_p"}, "score: found 'log_p' of the single contrast"),
    ],
)
def test_impossible_settings_are_refused(two_contrasts, settings, message):
    with pytest.raises(ConfigError, match=message):
        detected(*two_contrasts, **settings)


def test_without_positions_nothing_is_detected(two_contrasts):
    model, scan = two_contrasts
    with pytest.raises(NormscanError, match="without positions"):
        detected(model, replace(scan, position=None))
