"""Families that learn from corruptions: losses, steps of a restoration, what a network is told."""

import pytest
import torch
from made_brains import flair, tensors
from monai.losses import DiceLoss
from torch.nn.functional import binary_cross_entropy_with_logits

from normscan.models import registry
from normscan.models.parts.corruptions import KINDS, MIXED, at_degree, corrupt, shaped
from normscan.models.parts.draws import Draws
from normscan.models.parts.overlap import soft_label_dice_loss, soft_label_dice_losses
from normscan.networks import registry as networks
from normscan.plugins import literals

SMALL = {"depth": 2, "width": 4}
RESTORATION, SEGMENTATION = "synthetic_restoration", "synthetic_segmentation"


def made(family, **settings):
    return registry.build(family, (1, 1, 16), seed=1, **(SMALL | settings)).eval()


@pytest.fixture
def batch():
    return tensors(flair(count=12))


def test_every_kind_of_anomaly_may_be_asked_for():
    allowed = literals(registry.FOLDER / f"{SEGMENTATION}.py")["ALLOWED"]["anomaly"]
    assert allowed == [*KINDS, MIXED]


def test_dice_of_soft_labels_is_least_at_the_labels_and_the_usual_one_of_hard_ones():
    generator = torch.Generator().manual_seed(0)
    soft, other = torch.rand(2, 3, 8, 8, generator=generator)
    assert soft_label_dice_loss(soft, soft) == 0 < soft_label_dice_loss(other, soft)
    hard = (soft > 0.7).float()
    expected = DiceLoss(batch=True, smooth_nr=1, smooth_dr=1)(other[:, None], hard[:, None])
    torch.testing.assert_close(soft_label_dice_loss(other, hard), expected)
    rows = soft_label_dice_losses(other.flatten(1), soft.flatten(1))
    torch.testing.assert_close(rows[1], soft_label_dice_loss(other[1], soft[1]))


@pytest.mark.parametrize("kind", [*KINDS, MIXED])
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_segmentation_learns_what_was_made(batch, kind, weight):
    model = made(SEGMENTATION, anomaly=kind, dice_weight=weight)
    torch.manual_seed(5)
    found = model.losses(batch)
    torch.manual_seed(5)
    slices, labels = corrupt(batch.slices, kind, Draws(torch.device("cpu")))
    logits = model.network(slices)[:, 0]
    entropy = binary_cross_entropy_with_logits(logits, labels)
    torch.testing.assert_close(found["cross_entropy"], entropy)
    overlap = soft_label_dice_loss(model.segment(slices), labels)
    torch.testing.assert_close(found["loss"], entropy + weight * overlap)
    torch.manual_seed(5)
    each = model.validation_loss("main", batch)
    assert each.shape == (12,)
    overlaps = soft_label_dice_losses(logits.sigmoid().flatten(1), labels.flatten(1))
    torch.testing.assert_close(each.mean(), entropy + weight * overlaps.mean())


def test_restoration_is_trained_on_corruptions_to_all_levels(batch):
    model, seen = made(RESTORATION, levels=4), set()
    torch.manual_seed(5)
    losses = model.losses(batch)
    torch.manual_seed(5)
    each = model.validation_loss("main", batch)
    assert each.shape == (12,)
    torch.testing.assert_close(each.mean(), losses["loss"])

    def restored(slices, degree):
        seen.update(degree.flatten().tolist())
        return slices

    # What is not restored is the corruption itself.
    model.restored = restored
    torch.manual_seed(5)
    degree = torch.randint(1, 5, (12, 1, 1, 1)) / 4
    corrupted = at_degree(batch.slices, shaped(batch.slices, Draws(torch.device("cpu"))), degree)
    torch.manual_seed(5)
    lost = model.losses(batch)["loss"]
    torch.testing.assert_close(lost, (corrupted - batch.slices).square().mean())
    assert lost > 0 and seen == {0.25, 0.5, 0.75, 1.0}


@pytest.mark.parametrize("steps", [1, 4])
def test_a_restoration_goes_down_the_degrees_and_is_the_mean_of_its_steps(batch, steps):
    """With a network that knows the healthy slice, each step is the corruption to a lower degree;
    what the network says in each counts alike."""
    model, seen = made(RESTORATION, steps=steps), []
    full = shaped(batch.slices, Draws(torch.device("cpu"), torch.Generator().manual_seed(0)))

    def restored(slices, degree):
        seen.append(degree[0].item())
        torch.testing.assert_close(slices, at_degree(batch.slices, full, degree))
        return batch.slices

    model.restored = restored
    torch.testing.assert_close(model.reconstruct(full), batch.slices)
    assert seen == pytest.approx([1 - step / steps for step in range(steps)])
    model.restored = lambda slices, degree: degree.expand_as(slices)
    mean = sum(seen) / steps
    torch.testing.assert_close(model.reconstruct(full), torch.full_like(full, mean))


@pytest.mark.parametrize("network", networks.having({"image_to_image"}))
def test_the_network_is_told_the_degree_and_background_stays(batch, network):
    model = registry.build(RESTORATION, (1, 1, 32), seed=1, network=network, **SMALL).eval()
    slices = tensors(flair(count=3, size=32)).slices
    with torch.no_grad():
        low, high = (model.restored(slices, torch.full((3, 1, 1, 1), one)) for one in (0.01, 1.0))
    assert (low - high).abs().max() > 1e-5
    assert not low[slices == 0].any() and not high[slices == 0].any()


@pytest.mark.parametrize(
    ("family", "ask"), [(RESTORATION, "reconstruct"), (SEGMENTATION, "segment")]
)
def test_a_slices_map_does_not_depend_on_its_batch(batch, family, ask):
    ask = getattr(made(family), ask)
    with torch.no_grad():
        together, again = ask(batch.slices), ask(batch.slices)
        alone = torch.cat([ask(one[None]) for one in batch.slices])
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
