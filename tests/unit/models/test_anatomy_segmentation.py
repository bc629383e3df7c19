"""Segmentation of anatomy: its losses, and the rotation of slices with their labels."""

import numpy as np
import pytest
import torch
from made_brains import flair, tensors
from sklearn.metrics import f1_score

from normscan.models import registry
from normscan.models.anatomy_segmentation import rotated


def made(**settings):
    small = {"classes": 2, "depth": 2, "width": 4, **settings}
    return registry.build("anatomy_segmentation", (1, 1, 16), seed=1, **small).eval()


@pytest.fixture
def batch():
    found = tensors(flair(count=6))
    brain = found.layers["brain"]
    found.layers["anatomy"] = brain + (brain > 0) * (found.slices[:, 0] > 0.7)
    return found


def test_probabilities_are_of_every_class_and_the_background(batch):
    with torch.no_grad():
        found = made().classify_anatomy(batch.slices)
        alone = torch.cat([made().classify_anatomy(one[None]) for one in batch.slices])
    assert found.shape == (6, 3, 16, 16) and found.dtype == torch.float32
    torch.testing.assert_close(found.sum(dim=1), torch.ones(6, 16, 16))
    torch.testing.assert_close(found, alone)


def test_loss_is_soft_dice_plus_focal_loss(batch):
    model = made(rotation=0.0)
    labels = torch.nn.functional.one_hot(batch.layers["anatomy"].long(), 3).movedim(-1, 1)
    with torch.no_grad():
        likely = model.classify_anatomy(batch.slices)
        both, own = (likely * labels).sum((0, 2, 3)), (likely + labels).sum((0, 2, 3))
        dice = 1 - ((2 * both + 1) / (own + 1)).mean()
        true = (likely * labels).sum(1)
        focal = -((1 - true) ** 2 * true.log()).mean()
        assert model.losses(batch)["loss"].item() == pytest.approx((dice + focal).item(), rel=1e-4)


def test_validation_loss_of_a_slice_does_not_depend_on_the_others(batch):
    model = made()
    with torch.no_grad():
        together = model.validation_loss("main", batch)
        first = model.validation_loss("main", type(batch).of(
            batch.slices[:1], layers={"anatomy": batch.layers["anatomy"][:1]}
        ))  # fmt: skip
    assert together.shape == (6,)
    torch.testing.assert_close(together[:1], first)


def test_weight_decay_and_rate_are_those_of_the_settings():
    (group,) = made(weight_decay=0.25).optimisers("main")["main"].param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-5, 0.25)


def test_slices_turn_with_their_labels():
    side = 33
    x, y = np.mgrid[:side, :side] - side // 2
    wedge = ((np.abs(np.arctan2(y, x)) < 0.5) & (x**2 + y**2 < 14**2)).astype(np.float32)
    slices = torch.from_numpy(np.stack([wedge] * 8))[:, None]
    labels = (slices[:, 0] * 3).to(torch.int16)
    torch.manual_seed(0)
    turned, moved = rotated(slices, labels, 90.0)
    assert moved.dtype == torch.int64 and set(moved.unique().tolist()) == {0, 3}
    for image, label in zip(turned[:, 0], moved):
        assert f1_score((image > 0.5).ravel(), (label == 3).ravel()) > 0.95
        # Nothing is lost, and it is another place for each.
        assert image.sum().item() == pytest.approx(wedge.sum(), rel=0.05)
    assert len({image.numpy().tobytes() for image in turned}) == 8
    angles = [
        np.degrees(np.arctan2((y * one).sum(), (x * one).sum())) for one in turned[:, 0].numpy()
    ]
    assert np.abs(angles).max() <= 92 and np.ptp(angles) > 60


def test_without_rotation_slices_stay_as_they_are():
    slices, labels = torch.rand(2, 1, 8, 8), torch.ones(2, 8, 8, dtype=torch.int16)
    same, numbers = rotated(slices, labels, 0.0)
    assert same is slices and torch.equal(numbers, labels.long())
