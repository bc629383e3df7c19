"""The latent search against closed forms, torch's own Adam, and one slice at a time."""

import numpy as np
import pytest
import torch
from fake_models import CPU, detect
from torch import nn

from normscan.detectors import latent_search, registry
from normscan.errors import ConfigError
from normscan.models import registry as models
from normscan.slices.batch import Batch
from normscan.workflow.protocols import parse_protocol


class Generator(nn.Module):
    """A linear generator: x = W z, z standard normal, pixels of one channel."""

    def __init__(self, size=4, latent=3):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.shape = (1, size, size)
        self.weight = nn.Parameter(torch.randn(size**2, latent, generator=random))

    def draw_codes(self, count, generator):
        return torch.randn(count, self.weight.shape[1], generator=generator)

    def generate(self, codes):
        return (codes @ self.weight.T).unflatten(1, self.shape)


class Encoded(Generator):
    """With an encoder that gives what it is told."""

    def infer_codes(self, slices):
        return slices.flatten(1)[:, : self.weight.shape[1]]


class Judged(Generator):
    """With a discriminator whose features are a linear map of the pixels."""

    def __init__(self):
        super().__init__()
        random = torch.Generator().manual_seed(1)
        self.map = nn.Parameter(torch.randn(16, 5, generator=random))

    def discriminator_features(self, slices):
        return slices.flatten(1) @ self.map


def run(model, slices, seed=0, **settings):
    brain = np.ones((len(slices), *slices.shape[2:]), bool)
    return detect("latent_search", model, slices, brain, seed=seed, **settings)


def drawn(model, count):
    """Slices that a generator made."""
    with torch.no_grad():
        codes = model.draw_codes(count, torch.Generator().manual_seed(7))
        return model.generate(codes).numpy()


@pytest.fixture(scope="module")
def gan():
    """A GAN on slices of 16 pixels; batch norms with statistics of their own."""
    model = models.build("anogan", (1, 1, 16), latent=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            random = torch.Generator().manual_seed(2)
            module.running_mean.normal_(generator=random).mul_(0.1)
            module.running_var.uniform_(0.5, 2, generator=random)
    return model.eval()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((5, 1, 16, 16), dtype=np.float32)


@pytest.mark.parametrize("distance", ["absolute", "squared"])
@pytest.mark.parametrize("kind", [Generator, Judged])
def test_slices_that_the_generator_made_are_found(kind, distance):
    model = kind()
    slices = drawn(model, 4)
    found = run(model, slices, steps=400, learning_rate=0.05, distance=distance)
    assert np.abs(found.map).max() < 0.1 and np.abs(slices).max() > 1
    np.testing.assert_allclose(found.reconstruction, slices, atol=0.1)
    slices[:, 0, 0, 0] += 3
    np.testing.assert_array_less(found.scores, run(model, slices, steps=5).scores)


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_squared_distances_end_at_least_squares(weight):
    """(1 - w) |x - W z|^2 + w |M' x - M' W z|^2 has its minimum where the normal equations say."""
    model = Judged()
    slices = np.random.default_rng(1).random((3, 1, 4, 4), dtype=np.float32)
    settings = {"steps": 700, "learning_rate": 0.05, "distance": "squared"}
    found = run(model, slices, feature_weight=weight, **settings)
    w, m = (p.detach().double().numpy() for p in (model.weight, model.map))
    metric = (1 - weight) * np.eye(16) + weight * m @ m.T
    flat = slices.reshape(3, 16).astype(float).T
    code = np.linalg.solve(w.T @ metric @ w, w.T @ metric @ flat)
    left = flat - w @ code
    np.testing.assert_allclose(found.map.reshape(3, 16), left.T, atol=2e-4)
    np.testing.assert_allclose(found.scores, (left * (metric @ left)).sum(axis=0), rtol=1e-4)


def test_the_weight_is_the_published_one_where_there_is_a_discriminator():
    model, slices = Judged(), drawn(Generator(), 2) + 1
    usual, published, without = (
        run(model, slices, steps=2, feature_weight=weight).scores for weight in (None, 0.1, 0.0)
    )
    np.testing.assert_array_equal(usual, published)
    assert not np.allclose(usual, without)
    plain = run(Generator(), slices, steps=2)
    np.testing.assert_allclose(plain.scores, np.abs(plain.map).sum(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(plain.scores, without)


def test_it_is_the_search_of_one_slice_at_a_time_with_torchs_adam(gan, images):
    """And with the network as it was trained, not folded."""
    steps, rate = 12, 0.01
    found = run(gan, images, seed=3, steps=steps, learning_rate=rate)
    for number, own in enumerate(torch.from_numpy(images).split(1)):
        random = torch.Generator().manual_seed(latent_search.slice_seed(3, number))
        code = gan.draw_codes(1, random).requires_grad_()
        adam = torch.optim.Adam([code], lr=rate)
        for step in range(steps + 1):
            adam.zero_grad()
            expected = gan.generate(code)
            seen = [gan.discriminator_features(one) for one in (own, expected)]
            loss = 0.9 * (own - expected).abs().sum() + 0.1 * (seen[0] - seen[1]).abs().sum()
            if step < steps:
                loss.backward()
                adam.step()
        np.testing.assert_allclose(
            found.reconstruction[number], expected[0].detach(), atol=1e-4, rtol=1e-3
        )
        np.testing.assert_allclose(found.scores[number], loss.item(), rtol=1e-4)
    gan.zero_grad()


def test_threads_and_batches_change_nothing(gan):
    images = np.random.default_rng(4).random((37, 1, 16, 16), dtype=np.float32)
    before, found = torch.get_num_threads(), []
    for threads, size in ((1, 16), (3, 16), (2, 5)):
        torch.set_num_threads(threads)
        found.append(run(gan, images, steps=3, batch_size=size))
    torch.set_num_threads(before)
    one, threaded, other = found
    assert threaded.map.tobytes() == one.map.tobytes()
    assert threaded.scores.tobytes() == one.scores.tobytes()
    np.testing.assert_allclose(other.scores, one.scores, rtol=1e-4)


def test_seeds_and_slices_have_their_own_starts():
    slices = np.zeros((2, 1, 4, 4), np.float32)
    one, again, other = (run(Generator(), slices, seed=s, steps=1).map for s in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other) and not np.allclose(one[0], one[1])


def test_more_starts_never_worsen(gan, images):
    scores = [run(gan, images, steps=2, starts=count).scores for count in (1, 2, 5)]
    for fewer, more in zip(scores, scores[1:]):
        assert (more <= fewer).all()
    assert (scores[2] < scores[0]).any()


def test_the_nearest_of_several_starts_is_what_is_shown():
    """Map, reconstruction and score are of one and the same code."""
    slices = np.random.default_rng(5).random((6, 1, 4, 4), dtype=np.float32)
    found = run(Generator(), slices, steps=2, starts=4)
    np.testing.assert_allclose(found.map, (slices - found.reconstruction)[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.scores, np.abs(found.map).sum(axis=(1, 2)), rtol=1e-5)


def test_more_steps_come_nearer(gan, images):
    few, many = (run(gan, images, steps=steps).scores for steps in (1, 60))
    assert (many < few).all()


def test_f_anogan_serves_as_well():
    model = models.build("fanogan", (1, 1, 16), latent=4).eval()
    assert {"generate", "discriminate"} <= models.describe("fanogan")["capabilities"]
    images = np.random.default_rng(0).random((2, 1, 16, 16), dtype=np.float32)
    found = run(model, images, steps=2)
    assert np.isfinite(found.scores).all() and found.map.shape == (2, 16, 16)


def test_from_the_encoder_it_starts_at_its_codes_whatever_the_seed():
    """A step of Adam moves every entry of a code by the rate, against the sign of its gradient."""
    model = Encoded()
    slices = np.random.default_rng(6).random((3, 1, 4, 4), dtype=np.float32)
    settings = {"start": "encoder", "steps": 1, "learning_rate": 0.01, "distance": "squared"}
    found = run(model, slices, **settings)
    w, flat = model.weight.detach().double().numpy(), slices.reshape(3, 16).astype(float)
    codes = flat[:, :3]
    gradient = -2 * (flat - codes @ w.T) @ w
    expected = (codes - 0.01 * np.sign(gradient)) @ w.T
    np.testing.assert_allclose(found.reconstruction.reshape(3, 16), expected, atol=1e-5)
    again = run(model, slices, seed=9, **settings)
    assert again.map.tobytes() == found.map.tobytes()


def test_further_starts_than_the_encoders_are_random():
    slices = np.random.default_rng(7).random((8, 1, 4, 4), dtype=np.float32)
    settings = {"steps": 1, "learning_rate": 0.01}
    prior = run(Encoded(), slices, **settings).scores
    one, two = (
        run(Encoded(), slices, start="encoder", starts=starts, **settings).scores
        for starts in (1, 2)
    )
    np.testing.assert_array_equal(two, np.minimum(one, prior))
    assert (one < prior).any() and (prior < one).any()


@pytest.mark.parametrize(
    ("family", "bottleneck"), [("introvae", "spatial"), ("introvae", "dense"), ("fanogan", "dense")]
)
def test_what_an_encoder_found_is_improved(family, bottleneck):
    """Codes that are maps and codes that are vectors; a slice's own, in whichever batch."""
    network = "kobayashi2021" if bottleneck == "spatial" else "unified"
    settings = {"network": network, "bottleneck": bottleneck, "latent": 4}
    model = models.build(family, (1, 1, 16), **settings).eval()
    assert "encode" in models.describe(family)["capabilities"]
    images = np.random.default_rng(0).random((5, 1, 16, 16), dtype=np.float32)
    search = {"start": "encoder", "learning_rate": 0.001, "distance": "squared"}
    search |= {"feature_weight": 0.0}
    with torch.no_grad():
        first = (torch.from_numpy(images) - model.reconstruct(torch.from_numpy(images))).numpy()
    few, many = (run(model, images, steps=steps, **search) for steps in (1, 30))
    assert (many.scores < few.scores).all()
    assert (few.scores < np.square(first).sum((1, 2, 3))).all()
    single = run(model, images[3:4], steps=30, **search)
    np.testing.assert_allclose(many.reconstruction[3:4], single.reconstruction, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps: found 0"),
        ({"learning_rate": 0.0}, "learning_rate: found 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate: found inf"),
        ({"feature_weight": 1.5}, "feature_weight: found 1.5"),
        ({"feature_weight": -0.1}, "feature_weight: found -0.1"),
        ({"feature_weight": 0.1}, "feature_weight: found 0.1; the model has no discriminator"),
        ({"start": "middle"}, "start: found 'middle'; allowed: prior, encoder"),
        ({"start": "encoder"}, "start: found 'encoder'; the model has no encoder"),
        ({"distance": "cosine"}, "distance: found 'cosine'; allowed: absolute, squared"),
        ({"starts": 0}, "starts: found 0"),
        ({"batch_size": 0}, "batch_size: found 0"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ConfigError, match=message) as refused:
        registry.prepare("latent_search", Generator(), device=CPU, contrasts=["FLAIR"], **settings)
    assert "\n" not in str(refused.value)


def test_a_search_that_diverges_says_where():
    slices = np.zeros((2, 1, 4, 4), np.float32)
    ready = registry.prepare(
        "latent_search", Generator(), device=CPU, contrasts=["FLAIR"], learning_rate=1e38, steps=9
    )
    with pytest.raises(ConfigError, match="slices 0 to 1 diverged; choose a smaller learning_rate"):
        ready.detect(Batch.of(slices), 0)


def test_a_search_may_start_at_the_encoders_codes_of_those_who_have_such():
    content = {
        "contrasts": ["FLAIR"],
        "preprocessing": [{"register": {}}],
        "slices": {"size": 32},
        "models": {"fast": {"family": "fanogan"}},
        "approaches": {"a": {"detector": "latent-search", "model": "fast", "start": "encoder"}},
    }
    assert parse_protocol("p", content)[1] == []


def test_progress_is_shown(caplog):
    with caplog.at_level("INFO", logger="normscan"):
        run(Generator(), np.zeros((5, 1, 4, 4), np.float32), steps=1, batch_size=2)
    assert "latent search: 3 of 3" in caplog.text


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"model": "ae"}, "approaches.a.model: model 'ae' (family 'ae') cannot generate"),
        ({}, "approaches.a.model: is missing; the detector needs a model that can generate"),
        ({"model": "gan", "feature_weight": 2}, "approaches.a.feature_weight: found 2"),
        ({"model": "gan", "starts": 0}, "approaches.a.starts: found 0"),
        ({"model": "gan", "start": "middle"}, "approaches.a.start: found 'middle'"),
        (
            {"model": "gan", "start": "encoder"},
            "approaches.a.start: model 'gan' (family 'anogan') cannot encode",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_when_the_run_is_planned(entry, expected):
    content = {
        "contrasts": ["FLAIR"],
        "preprocessing": [{"register": {}}],
        "slices": {"size": 32},
        "models": {"ae": {"family": "ae"}, "gan": {"family": "anogan"}},
        "approaches": {"a": {"detector": "latent-search", **entry}},
    }
    (problem,) = parse_protocol("p", content)[1]
    assert expected in problem and "\n" not in problem
