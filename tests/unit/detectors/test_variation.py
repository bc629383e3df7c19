"""Total variation against values worked out by hand and against autograd."""

import torch

from normscan.detectors.variation import (
    differences,
    divergence,
    total_variation,
    variation_gradient,
)


def test_value_worked_out_by_hand():
    image = torch.tensor([[0.0, 1.0, 1.0], [3.0, 1.0, -1.0]])
    # Down: 3, 0, 2. Right: 1, 0 above; 2, 2 below.
    both = torch.stack([image, 2 * image])[:, None]
    assert total_variation(both).tolist() == [10.0, 20.0]


def test_contrasts_add_up():
    images = torch.rand(2, 3, 5, 4)
    apart = sum(total_variation(images[:, [channel]]) for channel in range(3))
    torch.testing.assert_close(total_variation(images), apart)


def test_gradient_is_that_of_autograd():
    images = torch.randn(3, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(total_variation(images).sum(), images)
    assert torch.equal(variation_gradient(images.detach()), expected)


def test_gradient_is_zero_where_nothing_varies():
    assert not variation_gradient(torch.full((1, 1, 4, 4), 0.3)).any()


def test_divergence_is_minus_the_transpose_of_the_differences():
    images = torch.randn(2, 1, 4, 6, dtype=torch.float64)
    down = torch.randn(2, 1, 3, 6, dtype=torch.float64)
    right = torch.randn(2, 1, 4, 5, dtype=torch.float64)
    found = differences(images)
    forward = (found[0] * down).sum() + (found[1] * right).sum()
    torch.testing.assert_close(forward, -(images * divergence(down, right)).sum())
