"""Area under the ROC curve of every slice with a lesion, to be looked at by the lesion's size.

Kim et al. 2021, section 3.1 and Fig. 7: an AUC per slice against the number of annotated pixels.
"""

from __future__ import annotations

import numpy as np
import pandas
from scipy import stats

COLUMNS = ["scan", "slice", "lesion_voxels", "lesion_mm2", "auroc"]


def slice_areas(
    filtered: np.ndarray,
    brain: np.ndarray,
    lesion: np.ndarray,
    ignored: np.ndarray,
    affine: np.ndarray,
) -> pandas.DataFrame:
    """AUROC of the voxels of each axial slice that has both lesion and normal voxels.

    Parameters
    ----------
    filtered : (x, y, z) filtered map of a scan, higher is more anomalous.
    brain, lesion, ignored : (x, y, z) bool; brain and lesion without ignored voxels count.
    affine : (4, 4), mm.

    Returns
    -------
    table : slice (index along z), lesion_voxels, lesion_mm2, auroc (ties count half), in the order
        of the slices.
    """
    region = (brain | lesion) & ~ignored
    positive = (lesion & region).sum(axis=(0, 1))
    negative = region.sum(axis=(0, 1)) - positive
    chosen = np.flatnonzero((positive > 0) & (negative > 0))
    if not len(chosen):
        return pandas.DataFrame(columns=COLUMNS[1:])
    positive, negative = positive[chosen], negative[chosen]
    # (slices, pixels). What does not count ranks last, and moves no rank of what does.
    scores, inside, sought = (
        one[:, :, chosen].reshape(-1, len(chosen)).T for one in (filtered, region, lesion & region)
    )
    ranks = stats.rankdata(np.where(inside, scores, np.inf), axis=1)
    # Mann-Whitney: pairs of a lesion and a normal voxel in which the lesion's score is higher.
    higher = (ranks * sought).sum(axis=1) - positive * (positive + 1) / 2
    area = np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1]))
    return pandas.DataFrame(
        {
            "slice": chosen,
            "lesion_voxels": positive,
            "lesion_mm2": positive * area,
            "auroc": higher / (positive * negative),
        }
    )
