"""Lesion masks as the cohort's classes define them."""

import numpy as np

from normscan.files import load_nifti


def lesion_mask(path: str, labels: list[int], shape: tuple[int, ...]) -> np.ndarray:
    """Voxels that count as lesion; nowhere when the scan has no mask.

    Parameters
    ----------
    path : label map on the slice grid, or empty.
    labels : labels that count; empty: all but 0.
    shape : of the slice grid.
    """
    if not path:
        return np.zeros(shape, bool)
    found = load_nifti(path, np.int32)[0]
    return np.isin(found, labels) if labels else found > 0
