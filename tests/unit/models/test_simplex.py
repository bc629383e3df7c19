"""Simplex noise: its moments, its smoothness, and that slices have noise of their own."""

import pytest
import torch

from normscan.models.parts.simplex import SimplexNoise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("octaves", [1, 6])
def test_it_has_mean_0_and_variance_1(octaves):
    drawn = SimplexNoise(32, 16, octaves).draw(600, 1, seeded())
    assert drawn.mean().item() == pytest.approx(0, abs=0.05)
    assert drawn.square().mean().item() == pytest.approx(1, rel=0.05)
    # Every slice lies elsewhere on the lattice, so no pixel is quieter than others.
    assert drawn.var(dim=0).min() > 0.7 and drawn.var(dim=0).max() < 1.4


def test_one_octave_is_that_of_the_definition():
    """Three corners, each (1/2 - d^2)^4 times a unit vector's product with d."""
    model = SimplexNoise(8, 4.0, octaves=1)
    root = torch.tensor(3.0, dtype=torch.float64).sqrt()
    points, weights = model.get_buffer("points_0"), model.get_buffer("weights_0").double()
    for row, column in [(0, 0), (1, 2), (5, 3), (7, 11)]:
        place = torch.tensor([row, column]) / 4.0
        # All corners of the plane, not the three of a search.
        near = torch.cartesian_prod(*2 * [torch.arange(-2, 6, dtype=torch.float64)])
        away = place - (near - near.sum(dim=1, keepdim=True) * (3 - root) / 6)
        kernel = (0.5 - away.square().sum(dim=1)).clamp_min(0) ** 4
        expected = (kernel[:, None] * away)[kernel > 0].norm(dim=1).sort().values
        found = weights[:, :, row * model.side + column].norm(dim=0)
        found = found[found > 0].sort().values
        ratio = found / expected
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-4, atol=0)
    assert points.max() + 1 == model.counts[0]


def test_octaves_halve_features_and_neighbours_are_alike():
    coarse, fine = (SimplexNoise(64, one, octaves=1).draw(200, 1, seeded()) for one in (32, 4))
    steps = [(one[..., 1:] - one[..., :-1]).square().mean().item() for one in (coarse, fine)]
    assert steps[0] < 0.05 < 0.3 < steps[1]


def test_slices_and_channels_have_noise_of_their_own():
    drawn = SimplexNoise(32, 16).draw(3, 2, seeded()).flatten(0, 1).flatten(1)
    alike = torch.corrcoef(drawn) - torch.eye(6)
    assert alike.abs().max() < 0.7
    torch.testing.assert_close(
        SimplexNoise(32, 16).draw(3, 2, seeded()), SimplexNoise(32, 16).draw(3, 2, seeded())
    )
