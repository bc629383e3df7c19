"""Corruptions of healthy slices: where they are, what labels say, and that nothing else changes."""

import numpy as np
import pytest
import scipy.sparse
import torch
from made_brains import made_brains
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import spsolve

from normscan.models.parts.corruptions import (
    FACTORS,
    KINDS,
    MIXED,
    VISIBLE,
    at_degree,
    change,
    corrupt,
    foreign,
    foreign_patches,
    intensity_bias,
    shaped,
    typical,
)
from normscan.models.parts.draws import Draws
from normscan.models.parts.fields import blurred, smooth_fields
from normscan.models.parts.poisson import differences, divergence, interpolated, pasted, solve
from normscan.models.parts.shapes import Boxes, blobs, random_boxes, random_places, random_shapes
from normscan.networks.foreground import inside

ANOMALIES = [*KINDS, MIXED]


def draws(seed=0):
    return Draws(torch.device("cpu"), torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def slices():
    """Brains of two contrasts, of 32 pixels, with a texture that no two pixels share."""
    made = torch.from_numpy(made_brains(count=24, size=32)[0])
    noise = torch.rand(made.shape, generator=torch.Generator().manual_seed(0))
    return made * (1 + 0.3 * noise)


@pytest.fixture(scope="module")
def boxes():
    return Boxes(*torch.tensor([[1, 5, 9], [3, 1, 20], [30, 1, 7], [4, 30, 11]]))


def test_fields_have_mean_0_variance_1_and_the_correlation_of_their_gaussian():
    """Of white noise smoothed by a Gaussian: exp(-d^2 / 4 sigma^2) at distance d."""
    sigma = torch.tensor([2.0, 5.0])[:, None].expand(2, 40)
    fields = smooth_fields(sigma, 64, draws())
    torch.testing.assert_close(fields.mean(dim=(2, 3)), torch.zeros(2, 40), atol=1e-5, rtol=0)
    torch.testing.assert_close(fields.square().mean(dim=(2, 3)), torch.ones(2, 40))
    for distance in (2, 4):
        found = (fields * fields.roll(distance, 3)).mean(dim=(1, 2, 3))
        expected = torch.exp(-(distance**2) / (4 * sigma[:, 0] ** 2))
        torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


def test_blurring_agrees_with_scipy():
    images, sigma = torch.rand(2, 20, 24), torch.tensor([2.0, 2.5])
    for found, image, width in zip(blurred(images, sigma), images, sigma):
        expected = gaussian_filter(image.numpy(), width.item(), mode="wrap", truncate=8)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    torch.testing.assert_close(blurred(images, torch.zeros(2)), images)


def test_shapes_lie_in_the_foreground_and_in_every_one(slices):
    brain = inside(slices)
    for seed in range(5):
        shapes = random_shapes(brain, draws(seed))
        assert not (shapes & ~brain).any()
        share = shapes.flatten(1).sum(dim=1) / brain.flatten(1).sum(dim=1)
        assert share.min() > 0 and share.max() < 0.4
    assert len({tuple(one.flatten().tolist()) for one in shapes}) == len(shapes)
    assert not random_shapes(torch.zeros(3, 16, 16, dtype=torch.bool), draws()).any()


def test_blobs_take_the_share_of_the_foreground_that_is_asked_for(slices, monkeypatch):
    monkeypatch.setattr("normscan.models.parts.shapes.SHARES", (0.25, 0.25))
    brain = inside(slices)
    assert torch.equal(blobs(brain, draws()).sum((1, 2)), brain.sum((1, 2)) // 4)


def test_places_are_any_of_the_foreground():
    brain = torch.zeros(3000, 5, 7, dtype=torch.bool)
    brain[:, 1, 2] = brain[:, 3, 6] = brain[:, 4, 0] = True
    rows, columns = random_places(brain, draws())
    counts = torch.bincount(rows * 7 + columns, minlength=35).view(5, 7)
    assert counts.sum() == counts[1, 2] + counts[3, 6] + counts[4, 0]
    assert counts[brain[0]].min() > 900


def test_boxes_are_of_the_sides_that_are_asked_for_and_leave_the_border_free(slices):
    sides = torch.tensor([[3.4, 40.0, 12.0], [0.2, 9.0, 40.0]])
    boxes = random_boxes(inside(slices[:3]), sides, draws())
    assert boxes.height.tolist() == [3, 30, 12] and boxes.width.tolist() == [1, 9, 30]
    masks = boxes.masks(32)
    assert torch.equal(masks.sum(dim=(1, 2)), boxes.height * boxes.width)
    border = torch.ones(32, 32, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert not (masks & border).any()


def laplacian(height, width):
    """Five points, 0 around, as scipy has it."""
    one = [scipy.sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(n, n)) for n in (height, width)]
    eyes = [scipy.sparse.identity(n) for n in (height, width)]
    return (scipy.sparse.kron(one[0], eyes[1]) + scipy.sparse.kron(eyes[0], one[1])).tocsc()


def test_poissons_equation_is_solved_as_by_a_sparse_solver(boxes):
    right = torch.randn(3, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    found = solve(right, boxes)
    assert torch.equal(found != 0, boxes.masks(32)[:, None].expand_as(found))
    for number in range(3):
        top, left, height, width = (int(one[number]) for one in boxes)
        window = (..., slice(top, top + height), slice(left, left + width))
        own = right[number][window].reshape(2, -1).T.double().numpy()
        expected = spsolve(laplacian(height, width), own)
        expected = expected.T.reshape(2, height, width)
        np.testing.assert_allclose(found[number][window], expected, atol=2e-4)


def test_what_is_pasted_has_the_sources_laplacian_and_the_slices_border(slices, boxes):
    own, source = torch.rand(2, 3, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    both = torch.ones(3, 32, 32, dtype=torch.bool)
    found = pasted(own, source, boxes, both)
    masks = boxes.masks(32)[:, None].expand_as(own)
    assert torch.equal(found[~masks], own[~masks])
    bent, expected = (divergence(*differences(one)) for one in (found, source))
    torch.testing.assert_close(bent[masks], expected[masks], atol=1e-4, rtol=0)
    # At factor 1 only the source's gradients are followed, at 0 only the slices' own.
    whole = torch.ones(3, 1, 1, 1)
    torch.testing.assert_close(interpolated(own, source, boxes, both, whole), found)
    none = interpolated(own, source, boxes, both, 0 * whole)
    torch.testing.assert_close(none, own, atol=1e-5, rtol=0)


def test_another_level_alone_is_not_pasted(slices, boxes):
    both = inside(slices[:3])
    found = pasted(slices[:3], slices[:3] + 2, boxes, both)
    torch.testing.assert_close(found, slices[:3], atol=1e-5, rtol=0)


def test_what_is_foreign_is_of_another_slice():
    count = 7
    levels = torch.arange(1.0, count + 1).view(-1, 1, 1, 1)
    found = set()
    for seed in range(40):
        source, both = foreign(levels.expand(-1, 1, 8, 8), draws(seed), shift=0, zoom=(1, 1))
        assert both.all() and (source[:, :, :1, :1] != levels).all()
        found |= {(number, int(one)) for number, one in enumerate(source[:, 0, 0, 0])}
    assert len(found) == count * (count - 1)


@pytest.mark.parametrize("kind", ANOMALIES)
def test_labels_are_where_something_changed_in_the_foreground(slices, kind):
    for seed in range(3):
        made, labels = corrupt(slices, kind, draws(seed))
        assert made.dtype == labels.dtype == torch.float32 and labels.shape == (24, 32, 32)
        assert made.isfinite().all() and labels.min() >= 0 and labels.max() <= 1
        assert torch.equal(labels > 0, change(slices, made) > VISIBLE)
        outside = ~inside(slices)
        assert not made[outside[:, None].expand_as(made)].any() and not labels[outside].any()
        assert (labels > 0).flatten(1).any(dim=1).float().mean() > 0.8
        # The most of each brain stays healthy.
        assert (labels > 0).float().sum() < 0.5 * inside(slices).sum()


@pytest.mark.parametrize("kind", ANOMALIES)
def test_equal_generators_give_equal_bits_and_precision_does_not_count(slices, kind):
    first, same, other = (corrupt(slices, kind, draws(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.slices, same.slices) and torch.equal(first.labels, same.labels)
    assert not torch.equal(first.slices, other.slices)
    with torch.autocast("cpu", torch.bfloat16):
        half = corrupt(slices, kind, draws(1))
    assert torch.equal(first.slices, half.slices)
    torch.manual_seed(3)
    usual = corrupt(slices, kind, Draws(torch.device("cpu")))
    torch.manual_seed(3)
    assert torch.equal(usual.slices, corrupt(slices, kind, Draws(torch.device("cpu"))).slices)


@pytest.mark.parametrize("kind", ANOMALIES)
def test_a_slice_alone_and_an_empty_one_are_no_exceptions(slices, kind):
    assert corrupt(slices[:1], kind, draws()).slices.isfinite().all()
    several = torch.cat([slices[:2], torch.zeros(2, 2, 32, 32)])
    made, labels = corrupt(several, kind, draws())
    assert made.isfinite().all() and labels.isfinite().all()
    assert not made[2:].any() and not labels[2:].any()


def test_labels_of_foreign_patches_are_the_share_of_the_foreign_slice():
    levels = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
    made, labels = foreign_patches(levels.expand(-1, 1, 32, 32), draws(4))
    share = (made - levels)[:, 0] / (levels.flip(0) - levels)[:, 0]
    torch.testing.assert_close(share, labels)
    for one in labels:
        (factor,) = one[one > 0].unique()
        assert FACTORS[0] <= factor < FACTORS[1]


def test_mixed_has_every_kind(slices, monkeypatch):
    monkeypatch.setattr(
        "normscan.models.parts.corruptions.KINDS",
        {
            str(n): lambda slices, draws, n=n: (slices + n, torch.full_like(slices[:, 0], n))
            for n in range(4)
        },
    )
    made, labels = corrupt(slices, MIXED, draws())
    assert set(labels.unique().tolist()) == {0, 1, 2, 3}
    assert torch.equal(made, slices + labels[:, None])


def test_degrees_change_slices_more_and_more(slices):
    full, before = shaped(slices, draws()), torch.zeros(24, 2, 32, 32)
    changed, visible = full != slices, (full - slices).abs() > 1e-3
    assert visible.any() and torch.equal(at_degree(slices, full, torch.zeros(24, 1, 1, 1)), slices)
    for level in range(1, 101):
        made = at_degree(slices, full, torch.full((24, 1, 1, 1), level / 100))
        size = (made - slices).abs()
        assert (size[visible] > before[visible]).all() and not size[~changed].any()
        before = size
    torch.testing.assert_close(made, full)


def test_intensity_bias_is_bounded_by_the_size_of_the_slice(slices):
    """Both brighter and darker, of each contrast for itself; 0 without strength."""
    offset = intensity_bias(slices, draws(), 1.0) / typical(slices)
    middle = offset.mean(dim=(2, 3))
    assert middle.abs().max() <= 1 and middle.min() < -0.5 and middle.max() > 0.5
    assert np.corrcoef(middle.T.numpy())[0, 1] < 0.7
    assert not intensity_bias(slices, draws(), 0.0).any()
    brain = inside(slices)[0]
    rms = slices[0, 1][brain].square().mean().sqrt()
    torch.testing.assert_close(typical(slices)[0, 1, 0, 0], rms)
