"""Restoration against closed forms, finite differences and slice-by-slice loops."""

from functools import partial

import numpy as np
import pytest
import torch
from fake_models import CPU, Linear, detect

from normscan.detectors import restoration
from normscan.detectors.inference import elbo_and_gradient, for_inference
from normscan.detectors.registry import prepare
from normscan.detectors.restoration import descend, objective
from normscan.detectors.restoring import PUBLISHED, Criterion, choose_tv_weight, published_weight
from normscan.detectors.variation import total_variation, variation_gradient
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.slices.batch import Batch


def run(model, slices, brain, **settings):
    return detect("restoration", model, slices, brain, **settings)


def test_steps_on_a_quadratic_are_powers_of_a_matrix(linear, slices, brain):
    found = run(linear, slices, brain, tv_weight=0, steps=40, step_size=0.05)
    with torch.no_grad():
        matrix = np.eye(16) - 0.05 * linear.precision().double().numpy()
    expected = slices.reshape(7, 16) @ np.linalg.matrix_power(matrix, 40)
    np.testing.assert_allclose(found.reconstruction.reshape(7, 16), expected, atol=1e-5)
    np.testing.assert_allclose(
        found.map.reshape(7, 16), slices.reshape(7, 16) - expected, atol=1e-5
    )


def test_first_step_follows_the_published_defaults(linear, slices, brain):
    """500 steps of 1e-3; the first one along the gradient of the bound alone, as TV(0) is flat."""
    assert restoration.SETTINGS["steps"] == 500 and restoration.SETTINGS["step_size"] == 1e-3
    found = run(linear, slices, brain, tv_weight=5.0, steps=1)
    gradient = elbo_and_gradient(linear, torch.from_numpy(slices))[1].numpy()
    np.testing.assert_allclose(found.map, 1e-3 * gradient[:, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("model", "weight", "width", "tolerance"),
    [
        (Linear(16), 1.3, 1e-6, 1e-6),
        # The real network's outputs are float32, and its loss has kinks.
        (registry.build("vae", (1, 1, 16)), 0.0, 1e-4, 2e-2),
    ],
    ids=["linear", "vae"],
)
def test_gradient_agrees_with_finite_differences(model, weight, width, tolerance):
    model = model.double().eval()
    random = np.random.default_rng(0)
    images, inputs = (torch.from_numpy(random.random((2, 1, 16, 16))) for _ in range(2))
    gradient = elbo_and_gradient(model, images)[1] + weight * variation_gradient(images - inputs)
    for _ in range(5):
        direction = torch.from_numpy(random.standard_normal((2, 1, 16, 16)))
        with torch.no_grad():
            ahead = objective(model, images + width * direction, inputs, weight)
            behind = objective(model, images - width * direction, inputs, weight)
        slope = (ahead - behind) / (2 * width)
        expected = (gradient * direction).flatten(1).sum(dim=1)
        torch.testing.assert_close(slope, expected, rtol=tolerance, atol=tolerance)


def test_batches_give_what_each_slice_gives_alone():
    """Against a loop over slices that keeps the parameters' gradients and the batch norms."""
    model = registry.build("vae", (1, 1, 16)).eval()
    inputs = torch.from_numpy(np.random.default_rng(0).random((5, 1, 16, 16), np.float32))
    ready = for_inference(model, CPU)
    together = descend(ready, inputs, tv_weight=0.4, steps=10, step_size=2e-3)
    for number, own in enumerate(inputs.split(1)):
        image = own.clone()
        for _ in range(10):
            leaf = image.clone().requires_grad_()
            objective(model, leaf, own, 0.4).sum().backward()
            image = image - 2e-3 * leaf.grad
        difference = (together[[number]] - image).abs()
        # Rounding decides where a sign flips: seldom, and by no more than a step or two.
        assert (difference < 1e-5).float().mean() > 0.98
        assert difference.max() < 2 * 4 * 0.4 * 2e-3


def test_objective_falls(linear, slices):
    inputs = torch.from_numpy(slices)
    with torch.no_grad():
        restored = descend(linear, inputs, tv_weight=0.05, steps=200, step_size=1e-2)
        before = objective(linear, inputs, inputs, 0.05)
        after = objective(linear, restored, inputs, 0.05)
    assert (after < before).all()


def test_total_variation_makes_residuals_flatter(linear, slices, brain):
    """The more it weighs, the less a residual varies."""
    varies = []
    for weight in (0, 0.02, 0.1):
        found = run(linear, slices, brain, tv_weight=weight, steps=200, step_size=5e-3)
        residual = torch.from_numpy(slices - found.reconstruction)
        varies.append(float(total_variation(residual).mean()))
    assert varies[0] > varies[1] > varies[2]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_blob_that_healthy_slices_never_have_is_found(sign):
    """A linear model of smooth images takes a blob back, with the sign of the blob."""
    size, random = 16, np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    shapes = np.stack([np.ones_like(x), x, y, x * y, np.cos(np.pi * x), np.cos(np.pi * y)])
    weights, _ = np.linalg.qr(shapes.reshape(6, -1).T)
    model = Linear(size, latent=6)
    model.weight.data = torch.from_numpy(30 * weights).float()
    healthy = random.normal(0, 1, (3, 6)) @ shapes.reshape(6, -1)
    blob = (np.hypot(x - 0.4, y - 0.6) < 0.15).astype(np.float32)
    slices = (healthy.reshape(3, 1, size, size) + sign * blob).astype(np.float32)
    found = run(
        model, slices, np.ones((3, size, size), bool), tv_weight=0.02, steps=300, step_size=5e-3
    )
    inside, outside = sign * found.map[:, blob > 0], sign * found.map[:, blob == 0]
    assert (inside.mean(axis=1) > 5 * np.abs(outside).mean(axis=1)).all()
    assert inside.min() > 0.2


def test_candidate_with_the_smallest_change_is_chosen(linear, slices, brain):
    candidates = [0.0, 0.05, 0.3, 3.0]
    chosen = {"steps": 100, "step_size": 1e-2}
    solve = partial(descend, **chosen)
    weight, record = choose_tv_weight(
        linear, Batch.of(slices), candidates, solve, device=CPU, size=16
    )
    table = record["table"]
    expected = [
        np.abs(run(linear, slices, brain, tv_weight=one, **chosen).map).mean() for one in candidates
    ]
    assert [row["tv_weight"] for row in table] == candidates
    np.testing.assert_allclose([row["mean_change"] for row in table], expected, rtol=1e-4)
    assert weight == candidates[int(np.argmin(expected))] != 0
    assert (record["how"], record["reason"]) == ("interior minimum", "")
    assert record["criterion"] == "mean_change"


class Exploding(Linear):
    """Diverges at any step above 1."""

    def elbo_loss(self, slices):
        return slices.pow(4).flatten(1).sum(dim=1) * 1e3


def test_divergence_is_an_error_that_names_the_step(slices, brain):
    with pytest.raises(ConfigError, match=r"slices 0 to 6 diverged.*step_size"):
        run(Exploding(), slices, brain, tv_weight=0, steps=30, step_size=2.0)
    solve = partial(descend, steps=30, step_size=2.0)
    with pytest.raises(ConfigError, match="diverges for every one of tv_candidates.*step_size"):
        choose_tv_weight(Exploding(), Batch.of(slices), [0, 1], solve, device=CPU, size=16)


def choose(change, candidates):
    """The weight, its record and the weights tried, where restoring changes pixels by so much."""

    def fake(model, inputs, *, tv_weight):
        return inputs + change(tv_weight)

    slices = Batch.of(np.zeros((1, 1, 158, 198), np.float32))
    weight, record = choose_tv_weight(Linear(), slices, candidates, fake, device=CPU, size=16)
    return weight, record, [row["tv_weight"] for row in record["table"]]


def test_diverging_candidates_are_never_chosen():
    def change(weight):
        return float("nan") if weight < 1 else 1 + abs(weight - 2)

    weight, record, _ = choose(change, [0.5, 1, 3, 2])
    assert weight == 2
    assert [row["mean_change"] is None for row in record["table"]] == [True, False, False, False]


@pytest.mark.parametrize(
    ("least", "candidates", "tried"),
    [
        (7.0, [0.0, 1.8, 3.6], [7.2, 14.4]),
        (0.4, [0.0, 1.6, 3.2], [0.8, 0.4]),
        (0.3, [0.6, 1.2], [0.3, 0.15]),
    ],
    ids=["above", "above none", "below"],
)
def test_a_minimum_at_an_edge_is_looked_for_beyond_it(least, candidates, tried):
    weight, record, weights = choose(lambda w: 1 + abs(w - least), candidates)
    assert weights == candidates + tried
    assert weight == min(weights, key=lambda w: abs(w - least))
    assert record["how"] == "interior minimum"


@pytest.mark.parametrize(
    ("change", "candidates", "further", "reason"),
    [
        (
            lambda w: 1 / (1 + 0.1 * w),
            [0.0, 1.8, 3.6],
            [7.2, 14.4, 28.8, 57.6],
            "falls all the way to 57.6",
        ),
        (lambda w: 1 + w, [0.6, 1.8], [0.3, 0.15, 0.075, 0.0375], "rises from 0.0375"),
        (lambda w: 1 + w, [0.0, 1.8], [0.9, 0.45, 0.225, 0.1125], "rises from 0, "),
        # Nothing to be gained from heavier weights still.
        (lambda w: 10.0**-w, [0.0, 1.8, 3.6], [], "at 3.6 hardly anything is restored"),
        # Rounding makes a minimum where nothing is restored.
        (lambda w: 1e-6 * abs(w - 2) if w else 1.0, [0, 1, 2, 3], [1.8], "at 2 hardly"),
        (lambda w: 0.0, [0.0, 1.0], [1.8], "hardly anything is restored"),
        (lambda w: 1 / (1 + 0.1 * w) if w < 4 else np.nan, [0.0, 1.8, 3.6], [7.2], "to 3.6"),
        (lambda w: 1.0 + w, [0.0], [1.8, 0.9, 0.45, 0.225], "rises from 0, "),
    ],
    ids=["falls", "rises", "rises from none", "vanishes", "rounding", "still", "diverges", "one"],
)
def test_where_the_change_determines_no_weight_the_published_one_is_taken(
    change, candidates, further, reason, caplog
):
    with caplog.at_level("WARNING", logger="normscan"):
        weight, record, tried = choose(change, candidates)
    assert weight == PUBLISHED == 1.8
    assert tried == candidates + further
    assert record["how"] == "fallback" and reason in record["reason"]
    assert "healthy scans do not determine it" in caplog.text and reason in caplog.text


@pytest.mark.parametrize(("side", "weight"), [(198, 1.8), (99, 0.9), (128, 1.164), (64, 0.582)])
def test_the_published_weight_is_in_proportion_to_the_slices(side, weight):
    """A square of a given part of the slice weighs the same against its total variation."""
    assert published_weight((side, side)) == weight
    square = torch.zeros(1, 1, side, side)
    square[..., : side // 3, : side // 3] = 1
    share = weight * total_variation(square) / square.sum()
    torch.testing.assert_close(share, torch.tensor([0.0545]), rtol=0.03, atol=0)


def test_the_published_weight_must_not_diverge_either():
    with pytest.raises(ConfigError, match=r"tv_weight: not determined .*1\.8.*diverges; choose"):
        choose(lambda w: 1 + w if w < 1 else np.nan, [0.0, 0.6])


def test_another_criterion_can_be_put_in():
    """It may restore what it likes, by the solver that is tuned; its name is in the record."""

    def blob_left(restore, slices):
        painted = slices + 1
        return (restore(painted) - slices).abs().sum(dtype=torch.float64)

    def fake(model, inputs, *, tv_weight):
        return inputs - 1 / (1 + abs(tv_weight - 2))

    slices = np.zeros((3, 1, 4, 4), np.float32)
    weight, record = choose_tv_weight(
        Linear(),
        Batch.of(slices),
        [0.5, 1, 2, 3],
        fake,
        device=CPU,
        size=16,
        criterion=Criterion("blob_left", blob_left),
    )
    assert (weight, record["how"], record["criterion"]) == (2, "interior minimum", "blob_left")
    np.testing.assert_allclose([row["blob_left"] for row in record["table"]], [0.6, 0.5, 0, 0.5])


class Store:
    """Stands for healthy slices; remembers which were read."""

    def __init__(self, slices):
        self.slices = slices

    def __len__(self):
        return len(self.slices)

    def batch(self, numbers):
        self.numbers = list(numbers)
        return Batch.of(self.slices[numbers])


def tune(model, store, settings):
    ready = prepare("restoration", model, device=CPU, contrasts=["FLAIR"], **settings)
    return ready.tune(store)


def test_tuning_takes_slices_from_all_over_the_store(linear):
    slices = np.random.default_rng(0).random((50, 1, 4, 4), np.float32)
    store = Store(slices)
    chosen = {"tv_slices": 5, "tv_candidates": [0.0, 0.2], "steps": 10, "tv_weight": "auto"}
    settings, record = tune(linear, store, chosen)
    assert store.numbers == [0, 12, 24, 37, 49]
    least = min(record["table"], key=lambda row: row["mean_change"])["tv_weight"]
    chosen_here = least if record["how"] == "interior minimum" else published_weight((4, 4))
    assert settings == {"tv_weight": chosen_here}
    tune(linear, store, {**chosen, "tv_slices": 500})
    assert store.numbers == list(range(50))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tv_weight": "auto"}, "tv_weight: is 'auto'"),
        ({"tv_weight": -1}, "tv_weight: found -1"),
        ({"tv_weight": 1, "steps": 0}, "steps: found 0"),
        ({"tv_weight": 1, "step_size": 0}, "step_size: found 0"),
        ({"tv_weight": 1, "batch_size": 0}, "batch_size: found 0"),
    ],
)
def test_settings_are_checked(linear, slices, brain, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(linear, slices, brain, **settings)


def test_candidates_are_checked(linear, slices):
    with pytest.raises(ConfigError, match="tv_candidates: found none"):
        choose_tv_weight(linear, Batch.of(slices), [], descend, device=CPU, size=16)
    with pytest.raises(ConfigError, match="tv_candidates: found -1"):
        choose_tv_weight(linear, Batch.of(slices), [1, -1], descend, device=CPU, size=16)
