"""Augmentation of training slices: TorchIO's transforms, random numbers by slice, resume, plans."""

import numpy as np
import pytest
import torch
from toys import BreakingStore, Interrupted, MadeStore

from normscan.models import registry
from normscan.plugins import complete_settings
from normscan.slices import augmentation
from normscan.slices.augmentation import (
    ALLOWED,
    ORDERED,
    TRANSFORMS,
    Augmentation,
    augmented,
    slice_generator,
)
from normscan.slices.batch import Batch
from normscan.training.loop import train
from normscan.workflow.protocol_models import parse_augmentation, parse_models

KEY = (7, 0, 3)


def always(*names):
    return {name: {**TRANSFORMS[name], "probability": 1.0} for name in names or TRANSFORMS}


def slices(count=6, channels=2, size=32):
    x, y = np.mgrid[:size, :size] / size - 0.5
    disc = ((x / 0.4) ** 2 + (y / 0.3) ** 2 < 1) * (1 + 0.5 * np.sin(9 * x) * np.cos(5 * y))
    made = np.linspace(0.4, 1, count * channels).reshape(count, channels, 1, 1) * disc
    return made.astype(np.float32)


def test_random_numbers_follow_from_the_slice_and_not_from_order_batches_or_threads():
    batch, numbers = Batch.of(slices()), np.arange(6) + 40
    whole = Augmentation(TRANSFORMS)(batch, numbers, KEY).slices
    order = np.array([4, 0, 3])
    part = Augmentation(TRANSFORMS, threads=3)(Batch.of(slices()[order]), numbers[order], KEY)
    np.testing.assert_array_equal(part.slices, whole[order])
    assert part.targets is part.slices
    for other in ((8, 0, 3), (7, 1, 3), (7, 0, 4)):
        assert (Augmentation(TRANSFORMS)(batch, numbers, other).slices != whole).any()
    np.testing.assert_array_equal(batch.slices, slices())


def test_the_order_in_a_protocol_changes_nothing():
    turned = dict(reversed(TRANSFORMS.items()))
    first, second = (Augmentation(t)(Batch.of(slices()), np.arange(6), KEY).slices
                     for t in (TRANSFORMS, turned))  # fmt: skip
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", [*TRANSFORMS, "all"])
def test_each_transform_changes_slices_and_keeps_the_background(name):
    chosen = always() if name == "all" else always(name)
    before = torch.random.get_rng_state()
    made = Augmentation(chosen)(Batch.of(slices()), np.arange(6), KEY).slices
    assert made.dtype == np.float32 and made.shape == slices().shape and np.isfinite(made).all()
    assert all((one != other).any() for one, other in zip(made, slices()))
    # Both channels have the same background as before, where nothing moved.
    if name in ("bias_field", "gamma", "scaling", "ghosting", "noise"):
        assert not made[slices() == 0].any()
    assert (made[:, 0, 0, :] == 0).all() and (made[:, 0, :, 0] == 0).all()
    # The training's own random numbers are left alone.
    assert torch.equal(before, torch.random.get_rng_state())
    still = {key: {**one, "probability": 0.0} for key, one in chosen.items()}
    same = Augmentation(still)(Batch.of(slices()), np.arange(6), KEY).slices
    np.testing.assert_array_equal(same, slices())


def test_targets_are_changed_as_inputs_are():
    batch = Batch(slices()[:, :1], slices()[:, :1].copy())
    chosen = always("flip", "affine", "rotation", "bias_field", "gamma", "ghosting")
    made = Augmentation(chosen)(batch, np.arange(6), KEY)
    assert made.targets is not made.slices
    np.testing.assert_array_equal(made.slices, made.targets)


@pytest.mark.parametrize(("axes", "kinds"), [("horizontal", 1), ("any", 3)])
def test_flips_are_left_and_right_or_any(axes, kinds):
    image = np.arange(1, 17, dtype=np.float32).reshape(1, 4, 4)
    seen = {
        augmented(
            image, {"flip": {"probability": 1, "axes": axes}}, slice_generator(0, k)
        ).tobytes()
        for k in range(40)
    }
    assert len(seen) == kinds and image[:, ::-1].tobytes() in seen


def test_the_bias_field_is_that_of_torchio(monkeypatch):
    import torchio

    image, order = np.ones((1, 16, 20), np.float32), 3
    drawn = np.random.default_rng(0).uniform(-0.5, 0.5, 10)
    ours = iter(drawn)
    coefficients = []
    for x in range(order + 1):
        for y in range(order + 1 - x):
            for z in range(order + 1 - x - y):
                coefficients.append(0.3 if z else next(ours))
    expected = torchio.BiasField.generate_bias_field(torch.ones(1, 16, 20, 1), order, coefficients)[
        ..., 0
    ]

    class Fixed:
        def uniform(self, low, high, size):
            assert (low, high, size) == (-0.5, 0.5, 10)
            return drawn

    found = augmentation._bias_field(image, Fixed(), coefficients=0.5, order=order)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_values_are_within_their_ranges():
    image = np.zeros((1, 64, 64), np.float32)
    image[:, 8:56, 8:56] = 0.5
    spreads, gammas = [], []
    for number in range(40):
        random = slice_generator(*KEY, number)
        spreads.append(augmented(image, always("noise"), random)[:, 16:48, 16:48].std())
        random = slice_generator(*KEY, number)
        gammas.append(np.log(np.log(augmented(image, always("gamma"), random).max()) / np.log(0.5)))
    assert 0 < min(spreads) < 0.05 and 0.2 < max(spreads) < 0.27
    assert -0.3 <= min(gammas) < -0.2 and 0.2 < max(gammas) <= 0.3


def test_each_contrast_is_scaled_by_a_factor_of_its_own():
    chosen, image = {"scaling": {"probability": 1.0, "strength": 0.3}}, slices(1, 3)[0]
    factors = []
    for number in range(200):
        made = augmented(image - 0.5 * (image != 0), chosen, slice_generator(*KEY, number))
        ratios = made[:, 10:20, 16] / (image - 0.5)[:, 10:20, 16]
        # One for all of a channel, z-scores below 0 as well; another for the next.
        np.testing.assert_allclose(ratios, ratios[:, :1].repeat(10, axis=1), rtol=1e-4)
        factors.append(ratios[:, 0])
    found = np.array(factors)
    assert 0.7 <= found.min() < 0.72 and 1.28 < found.max() <= 1.3
    np.testing.assert_allclose(found.mean(axis=0), 1, atol=0.05)
    assert np.abs(np.corrcoef(found.T)[np.triu_indices(3, 1)]).max() < 0.2


def trained(store, folder=None, **options):
    model = registry.build("vae", (1, 1, 16), seed=1, latent=4)
    validation = MadeStore(4, seed=9)
    seen = []
    usual = model.validation_loss

    def watched(phase, batch):
        seen.append(batch.slices.clone())
        return usual(phase, batch)

    model.validation_loss = watched
    history = train(
        model, store, validation, seed=3, batch_size=4, max_epochs=3, patience=9,
        checkpoint=folder, checkpoint_steps=1, **options,
    )  # fmt: skip
    for one in seen:
        np.testing.assert_array_equal(one.numpy(), validation.slices)
    return model, history


def test_a_killed_training_goes_on_to_the_same_bits_and_validation_is_left_alone(tmp_path):
    augment = Augmentation(TRANSFORMS)
    whole, history = trained(MadeStore(10), augment=augment)
    with pytest.raises(Interrupted):
        trained(BreakingStore(10, dies_at=5), tmp_path, augment=augment)
    again, resumed = trained(MadeStore(10), tmp_path, augment=augment)
    assert history == resumed
    for one, other in zip(whole.state_dict().values(), again.state_dict().values()):
        assert torch.equal(one, other)
    _, plain = trained(MadeStore(10))
    assert plain != history


def test_transforms_and_values_are_checked_when_planned():
    for name, settings in TRANSFORMS.items():
        assert set(ALLOWED[name]) == set(settings)
        assert complete_settings({}, settings, ALLOWED[name], "x")[1] == []
    assert set(ORDERED) <= set(TRANSFORMS)
    found, problems = parse_augmentation({"noise": {"std": 0.1}, "flip": None}, "vae", "models.m")
    assert problems == []
    assert found == {
        "noise": {"probability": 0.5, "std": 0.1},
        "flip": {"probability": 0.5, "axes": "any"},
    }
    given = {
        "nose": {}, "gamma": {"log_gamma": -1}, "flip": {"probability": 2},
        "ghosting": {"fewest": 8, "most": 4},
    }  # fmt: skip
    assert parse_augmentation(given, "vae", "m")[1] == [
        "m.augmentation.nose: unknown key (did you mean 'noise'?); allowed: affine, bias_field, "
        "flip, gamma, ghosting, noise, rotation, scaling",
        "m.augmentation.gamma.log_gamma: found -1; must be a number of at least 0 and at most 5",
        "m.augmentation.flip.probability: found 2; must be a number of at least 0 and at most 1",
        "m.augmentation.ghosting.fewest: found 8; must not be above most, which is 4",
    ]
    (line,) = parse_augmentation({"flip": {}}, "semi_fcn", "m")[1]
    assert "trained on layers or on streams beside 'main'" in line
    (line,) = parse_augmentation({"flip": {}}, "feature_bank", "m")[1]
    assert "fitted to slices once" in line


def test_a_model_keeps_its_augmentation_and_others_have_none():
    problems = []
    entries = {"a": {"family": "vae", "augmentation": {"flip": {}}}, "b": {"family": "vae"}}
    found = parse_models(entries, ["T2w"], {"main"}, "p", problems)
    assert problems == [] and found["b"].augmentation == {}
    assert found["a"].augmentation == {"flip": {"probability": 0.5, "axes": "any"}}
    assert found["a"].settings == found["b"].settings
