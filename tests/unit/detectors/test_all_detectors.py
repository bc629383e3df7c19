"""What every detector keeps to, on small made models and on the real ones."""

import copy

import numpy as np
import pytest
import torch
from fake_models import Convolutional, Linear, Scores, bank, detect, norm, prior
from range_ends import settings_at_ends

from normscan.detectors import registry
from normscan.models import registry as models
from normscan.models.capabilities import PROTOCOLS
from normscan.workflow.declared import A_CONTRAST

BATCHED = [name for name in registry.names() if "batch_size" in registry.describe(name)["settings"]]
MODELS = {
    "linear": Linear,
    "convolutional": Convolutional,
    "ae": lambda: models.build("ae", (1, 1, 16)),
    "vae": lambda: models.build("vae", (1, 1, 16)),
    "vae_spatial": lambda: models.build("vae", (1, 1, 16), bottleneck="spatial", latent=4),
    "anogan": lambda: models.build("anogan", (1, 1, 16), latent=4),
    "skip_ae": lambda: models.build("skip_ae", (1, 1, 32), latent=4),
    "scores": Scores,
    "bank": bank,
    "prior": prior,
    "norm": norm,
    "deep_svdd": lambda: models.build("deep_svdd", (1, 1, 16), latent=4),
    "one_class_svm": lambda: models.build("one_class_svm", (1, 1, 16)),
    "pixel_svdd": lambda: models.build("pixel_svdd", (1, 1, 16)),
    "semi_fcn": lambda: models.build("semi_fcn", (1, 1, 16), depth=2, width=4),
}
SIZES = {"linear": 4, "skip_ae": 32}


def serves(detector, model):
    """Whether a model can what a detector needs."""
    own = MODELS[model]()
    return all(isinstance(own, PROTOCOLS[need]) for need in registry.describe(detector)["needs"])


PAIRS = [(d, m) for d in registry.names() for m in MODELS if serves(d, m)]


def anyone(detector):
    """The VAE, or the first model that serves a detector."""
    return "vae" if serves(detector, "vae") else next(m for d, m in PAIRS if d == detector)


def answer(found):
    """The map, or the scores of slices where there is none."""
    return found.scores if found.map is None else found.map


def scan(model: str, count: int = 7):
    size = SIZES.get(model, 16)
    slices = np.random.default_rng(3).random((count, 1, size, size), dtype=np.float32)
    return slices, slices[:, 0] > 0.1


def run(detector, model, slices, brain, **settings):
    few = getattr(registry.load(detector), "CHECKED_WITH", {})
    return detect(detector, model, slices, brain, **{**few, **settings})


def assert_equal_but_for_rounding(found, expected):
    """Sub-gradients flip their sign on rounding: at single pixels, by about a step."""
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert (np.abs(found - expected) < 1e-5).mean() > 0.99


@pytest.mark.parametrize("detector", ["restoration", "proximal_restoration", "montecarlo"])
def test_the_number_of_threads_changes_nothing(detector):
    """Batches that threads compute at once are those that one thread computes in turn."""
    slices, brain = scan("vae", count=40)
    model = MODELS["vae"]()
    before = torch.get_num_threads()
    found = {}
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found[threads] = run(detector, model, slices, brain).map
    torch.set_num_threads(before)
    np.testing.assert_array_equal(found[2], found[1])
    np.testing.assert_array_equal(found[3], found[1])


@pytest.mark.parametrize(("detector", "name"), PAIRS)
def test_form_of_the_result_and_the_same_bits_again(detector, name):
    slices, brain = scan(name)
    model = MODELS[name]()
    found, again = (run(detector, model, slices, brain) for _ in range(2))
    given = {"voxel": found.map, "slice": found.scores}
    levels = {level for level, scores in given.items() if scores is not None}
    assert levels == registry.describe(detector)["levels"]
    shapes = {"voxel": brain.shape, "slice": brain.shape[:1]}
    assert {level: given[level].shape for level in levels} == {one: shapes[one] for one in levels}
    if found.scores is not None:
        assert found.scores.dtype == np.float32
        assert found.scores.tobytes() == again.scores.tobytes()
    assert answer(found).dtype == np.float32
    assert np.isfinite(answer(found)).all() and answer(found).any()
    assert answer(found).tobytes() == answer(again).tobytes()
    if found.scores is not None:
        assert found.scores.dtype == np.float32 and np.isfinite(found.scores).all()
        assert found.scores.tobytes() == again.scores.tobytes()
    if found.reconstruction is not None:
        assert found.reconstruction.shape == slices.shape
        assert found.reconstruction.tobytes() == again.reconstruction.tobytes()
    if found.uncertainty is not None:
        assert found.uncertainty.shape == brain.shape and (found.uncertainty >= 0).all()
        assert found.uncertainty.dtype == np.float32
        assert found.uncertainty.tobytes() == again.uncertainty.tobytes()


@pytest.mark.parametrize(
    ("detector", "name"), [p for p in PAIRS if "restoration" in p[0] or p[0] == "reconstruction"]
)
def test_score_is_the_residual(detector, name):
    """Of one contrast and one reconstruction: input minus reconstruction."""
    slices, brain = scan(name)
    found = run(detector, MODELS[name](), slices, brain)
    np.testing.assert_allclose(found.map, (slices - found.reconstruction)[:, 0], atol=1e-6)


@pytest.mark.parametrize(("detector", "name"), PAIRS)
def test_only_what_is_a_residual_is_called_one(detector, name):
    slices, brain = scan(name)
    found = run(detector, MODELS[name](), slices, brain)
    called = registry.describe(detector)["residual"]
    if found.reconstruction is None:
        assert not called
        return
    residual, size = np.abs(slices - found.reconstruction)[:, 0], np.abs(found.map)
    # The mean absolute residual of several reconstructions is never below that of their mean.
    assert called == (size >= residual - 1e-5).all()


@pytest.mark.parametrize(("detector", "name"), [p for p in PAIRS if p[0] != "intensity"])
def test_a_slice_does_not_depend_on_the_others(detector, name):
    slices, brain = scan(name)
    model = MODELS[name]()
    together = run(detector, model, slices, brain)
    first = run(detector, model, slices[:3], brain[:3])
    assert_equal_but_for_rounding(answer(first), answer(together)[:3])
    if together.uncertainty is not None:
        assert_equal_but_for_rounding(first.uncertainty, together.uncertainty[:3])


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize(
    ("detector", "name"),
    [(d, m) for d, m in PAIRS if d in BATCHED and m in ("convolutional", "vae", anyone(d))],
)
def test_batches_change_nothing(detector, name, size):
    slices, brain = scan(name)
    model = MODELS[name]()
    found = run(detector, model, slices, brain, batch_size=size)
    expected = run(detector, model, slices, brain)
    assert_equal_but_for_rounding(answer(found), answer(expected))


@pytest.mark.parametrize(("detector", "name"), PAIRS)
def test_model_stays_as_it_was(detector, name):
    slices, brain = scan(name, 2)
    model = MODELS[name]().train()
    before = copy.deepcopy(model.state_dict())
    run(detector, model, slices, brain)
    assert model.training
    own = getattr(model, "trainable", lambda: list(model.parameters()))()
    assert all(p.requires_grad and p.grad is None for p in own)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("detector", registry.names())
def test_global_random_numbers_are_left_alone(detector):
    slices, brain = scan("vae", 2)
    model = MODELS[anyone(detector)]()
    state = torch.random.get_rng_state()
    one = run(detector, model, slices, brain)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert answer(run(detector, model, slices, brain)).tobytes() == answer(one).tobytes()


@pytest.mark.parametrize("detector", registry.names())
def test_memory_maps_are_read_and_not_written(detector, tmp_path):
    slices, brain = scan("vae", 3)
    np.save(tmp_path / "00.npy", slices)
    mapped = np.load(tmp_path / "00.npy", mmap_mode="r")
    model = MODELS[anyone(detector)]()
    expected = answer(run(detector, model, slices, brain))
    assert answer(run(detector, model, mapped, brain)).tobytes() == expected.tobytes()


@pytest.mark.parametrize("detector", ["reconstruction", "restoration", "montecarlo"])
def test_contrasts_are_averaged(detector):
    """A second contrast that is a copy of the first changes nothing."""
    slices = np.random.default_rng(0).random((3, 1, 16, 16), dtype=np.float32)
    brain = np.ones((3, 16, 16), bool)
    one = Convolutional()
    two = Twice(one)
    alone = run(detector, one, slices, brain)
    both = run(detector, two, np.repeat(slices, 2, axis=1), brain)
    assert_equal_but_for_rounding(both.map, alone.map)


class Twice(torch.nn.Module):
    """The same model on each of two contrasts."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def apart(self, slices):
        return [slices[:, :1], slices[:, 1:]]

    def reconstruct(self, slices):
        return torch.cat([self.model.reconstruct(one) for one in self.apart(slices)], dim=1)

    def encode(self, slices):
        return self.model.encode(slices[:, :1])

    def decode_sample(self, code, generator):
        return self.model.decode_sample(code, generator).repeat(1, 2, 1, 1)

    def elbo_loss(self, slices):
        return sum(self.model.elbo_loss(one) for one in self.apart(slices))

    def elbo_parts(self, slices):
        expected, rest = zip(*(self.model.elbo_parts(one) for one in self.apart(slices)))
        return torch.cat(expected, dim=1), sum(rest)


ALONE = [name for name in registry.names() if not registry.describe(name)["uses"]]


@pytest.mark.parametrize("detector", ALONE)
def test_it_is_prepared_at_the_ends_of_every_range(detector):
    """Ranges that detectors state are those that they take, of a model that can what is needed."""
    model, needed = MODELS[anyone(detector)](), registry.describe(detector)["needed_for"]
    few = getattr(registry.load(detector), "CHECKED_WITH", {})
    for key, value in settings_at_ends(registry.FOLDER / f"{detector}.py"):
        if value != A_CONTRAST and key not in needed:
            settings = {**few, key: value}
            device = torch.device("cpu")
            registry.prepare(detector, model, device=device, contrasts=["FLAIR"], **settings)
