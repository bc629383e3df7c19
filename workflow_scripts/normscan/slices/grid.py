"""The slice grid: an atlas's grid, square and resized in-plane, with its exact affine."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel
import numpy as np
from scipy import sparse

from normscan.preprocessing.nearest import nearest_labels, nearest_voxels


@dataclass(frozen=True)
class SliceGrid:
    """From volumes on one grid to slices of ``size`` x ``size``.

    Attributes
    ----------
    shape, affine : of the slice grid (x, y, z), axes to the right, front and top.
    source_shape : of volumes in that order of axes.
    steps : (2,) source voxels per slice pixel along x and y.
    starts : (2,) source position of the first pixel's centre.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    source_shape: tuple[int, int, int]
    steps: np.ndarray
    starts: np.ndarray

    def image(self, volume: np.ndarray) -> np.ndarray:
        """A volume resized in-plane: linear, averaged over pixels where they are larger.

        Each pixel is the mean of the source under a triangle as wide as two pixels (or two source
        voxels, if these are larger), as in Pillow's and torch's antialiased bilinear resizing.
        Outside of the volume is 0.
        """
        x, y = (
            _weights(self.source_shape[axis], self.shape[axis], self.steps[axis], start)
            for axis, start in enumerate(self.starts)
        )
        columns, rows, depth = self.source_shape
        # Sparse products run on one thread in a fixed order: the same bits on every machine.
        half = x @ volume.astype(np.float64).reshape(columns, rows * depth)
        half = half.reshape(self.shape[0], rows, depth).transpose(1, 0, 2)
        full = y @ np.ascontiguousarray(half).reshape(rows, -1)
        full = full.reshape(self.shape[1], self.shape[0], depth).transpose(1, 0, 2)
        return np.ascontiguousarray(full, dtype=np.float32)

    def labels(self, volume: np.ndarray) -> np.ndarray:
        """A mask or label map resized in-plane with nearest neighbour; outside is 0."""
        return nearest_labels(volume, self._places())

    def origins(self, chosen: np.ndarray) -> np.ndarray:
        """Source voxels (bool) that the labels of the chosen pixels (bool) were taken from."""
        return nearest_voxels(chosen, self.source_shape, self._places())

    def _places(self) -> list[np.ndarray]:
        in_plane = [
            start + step * np.arange(count)
            for start, step, count in zip(self.starts, self.steps, self.shape)
        ]
        return [*in_plane, np.arange(self.source_shape[2])]


def slice_grid(
    shape: tuple[int, int, int], affine: np.ndarray, size: int, field_of_view: float | None = None
) -> SliceGrid:
    """The slice grid of an atlas's grid.

    Parameters
    ----------
    shape, affine : of the atlas's grid, axes to the right, front and top (:func:`upright`).
    size : pixels of a slice's side.
    field_of_view : mm of a slice's side around the grid's centre; None: the larger side.
    """
    affine = np.asarray(affine, dtype=float)
    spacing = np.sqrt((affine[:3, :2] ** 2).sum(axis=0))
    counts = np.array(shape[:2])
    side = float(field_of_view or (counts * spacing).max())
    steps = side / size / spacing
    starts = (counts - 1) / 2 - steps * (size - 1) / 2
    resized = affine.copy()
    resized[:3, :2] = affine[:3, :2] * steps
    resized[:3, 3] = affine[:3, :2] @ starts + affine[:3, 3]
    x, y, z = map(int, shape)
    return SliceGrid((size, size, z), resized, (x, y, z), steps, starts)


def upright(volume: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels with axes permuted and flipped to run to the right, front and top."""
    order = nibabel.io_orientation(affine)
    turned = nibabel.apply_orientation(volume, order)
    return turned, affine @ nibabel.orientations.inv_ornt_aff(order, volume.shape)


def _weights(source: int, target: int, step: float, start: float) -> sparse.csr_matrix:
    """Matrix (target, source) of a triangle filter around each target pixel's centre."""
    reach = max(1.0, step)
    centres = start + step * np.arange(target)
    taps = np.arange(int(np.ceil(2 * reach)) + 1)
    columns = np.floor(centres - reach).astype(int)[:, None] + 1 + taps
    weights = np.maximum(0, 1 - np.abs(columns - centres[:, None]) / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    used = (columns >= 0) & (columns < source) & (weights > 0)
    rows = np.broadcast_to(np.arange(target)[:, None], columns.shape)
    return sparse.csr_matrix((weights[used], (rows[used], columns[used])), shape=(target, source))
