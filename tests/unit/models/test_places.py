"""Numbers of slices from positions in the grid."""

import numpy as np
import pytest
import torch

from normscan.errors import NormscanError
from normscan.models.parts.places import DEEPEST, grid_depth, levels


@pytest.mark.parametrize("depth", [2, 3, 74, 155, 182, DEEPEST])
def test_positions_of_a_store_give_the_slices_back(depth):
    """As a store gives them; scans reach over a part of the grid."""
    numbers = np.arange(depth // 3, depth - depth // 4)
    numbers = np.union1d(numbers, [depth - 1]) if len(numbers) < 2 else numbers
    positions = torch.from_numpy((numbers / (depth - 1)).astype(np.float32))
    assert grid_depth(positions) == depth
    assert levels(positions, depth).tolist() == numbers.tolist()


def test_a_grid_of_one_slice_counts_as_two():
    assert grid_depth(torch.zeros(3)) == 2
    assert levels(torch.zeros(3), 2).tolist() == [0, 0, 0]


def test_every_second_slice_is_a_coarser_grid():
    positions = torch.arange(0, 101, 2) / 100
    assert grid_depth(positions) == 51
    assert levels(torch.tensor([0.02, 0.515, 1.0]), 51).tolist() == [1, 26, 50]


def test_positions_of_no_grid_are_refused():
    positions = torch.rand(50, generator=torch.Generator().manual_seed(0))
    with pytest.raises(NormscanError, match="no grid of slices"):
        grid_depth(positions)
