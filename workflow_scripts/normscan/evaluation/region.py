"""Which voxels are evaluated, and as what."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np


def lesion_and_ignored(
    labels: np.ndarray, chosen: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels that are sought, and those that count on neither side.

    What carries another label than the chosen ones (other pathology, another part of a tumour) is
    neither a lesion to be found nor normal tissue. So does the WMH challenge with its label 2
    (Kuijf et al., IEEE TMI 2019).

    Parameters
    ----------
    labels : label map of any shape, 0 = normal.
    chosen : labels that are sought; empty: all but 0.

    Returns
    -------
    lesion, ignored : bool, without common voxels.
    """
    labelled = labels > 0
    lesion = np.isin(labels, list(chosen)) & labelled if chosen else labelled
    return lesion, labelled & ~lesion


def evaluated_region(
    brain: np.ndarray, lesion: np.ndarray, ignored: np.ndarray | None = None
) -> np.ndarray:
    """Brain mask and lesion voxels together, without ignored voxels.

    What skull stripping cut off of a lesion counts as missed. The region is not given in Baur et
    al. 2021. Air is left out, because its zeros raise AUROC without telling anything.
    """
    region = brain | lesion
    return region if ignored is None else region & ~ignored
