"""What is sound by itself but cannot be meant: findings (problem, remedy) about a scan's volumes.

Limits are far from what scans of heads and brains show, so that none of those is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Finding = tuple[str, str]
# Far above any scanner's numbers, and where squares leave single precision.
LARGEST = 1e9
# Of the grid: brains take a tenth and more, lesions a hundredth.
LEAST_BRAIN, MOST_LESION = 1e-3, 0.5
# Of the lesion that must lie in the brain: masks are cut a bit closely at times.
INSIDE = 0.5
# Of a brain's voxels: so many more outside of its mask are no rim that interpolation left.
OUTSIDE = 0.2
# No person's brain is half as large; heads are larger.
LARGEST_BRAIN_ML = 3000.0
# Between the two affines of one header, at any corner.
APART_MM = 1.0


def size_problems(data: np.ndarray) -> list[Finding]:
    """Values that no scanner writes."""
    largest = float(np.abs(data).max())
    if largest <= LARGEST:
        return []
    return [(f"holds values up to {largest:.3g}", "export the image again, or rescale it")]


def brain_problems(brain: np.ndarray) -> list[Finding]:
    """A brain mask (x, y, z) of next to nothing."""
    if brain.mean() >= LEAST_BRAIN:
        return []
    count = int(brain.sum())
    return [(f"the brain mask has {count} voxel{'s' * (count != 1)}", "give another or remove it")]


def lesion_findings(
    lesion: np.ndarray, brain: np.ndarray | None
) -> tuple[list[Finding], list[Finding]]:
    """Problems and warnings of a lesion mask; ``brain``: on the same grid, None: not known."""
    share = float(lesion.mean())
    if share > MOST_LESION:
        said = f"the lesion mask covers {share:.0%} of the image"
        return [(said, "give the mask of the lesions alone")], []
    if brain is None or brain.shape != lesion.shape or not lesion.any():
        return [], []
    inside = float(brain[lesion].mean())
    remedy = "look at both masks: one of them may be shifted, mirrored or another scan's"
    if inside == 0:
        return [("the lesion mask lies outside of the brain mask", remedy)], []
    if inside < INSIDE:
        return [], [(f"only {inside:.0%} of the lesion lie inside of the brain mask", remedy)]
    return [], []


def foreground(data: np.ndarray) -> np.ndarray:
    """Voxels that are no background: 0, or without any 0 the one value of all corners.

    All are where nothing tells the background: the corners differ.
    """
    corners = data[np.ix_(*[(0, -1)] * 3)]
    if (data == 0).any() or (corners != corners.flat[0]).any():
        return data != 0
    return data != corners.flat[0]


def oversized_problems(shown: Mapping[str, np.ndarray], ml: Mapping[str, float]) -> list[Finding]:
    """Images of a scan declared to be stripped, without a mask, that show more than any brain.

    Parameters
    ----------
    shown : contrast -> its foreground.
    ml : contrast -> volume of a voxel.
    """
    for contrast, there in sorted(shown.items()):
        volume = float(there.sum() * ml[contrast])
        if volume > LARGEST_BRAIN_ML and not there.all():
            return [
                (
                    f"is declared skull_stripped, but {contrast} shows {volume / 1000:.1f} litres, "
                    f"and no brain has {LARGEST_BRAIN_ML / 1000:g}",
                    "set skull_stripped: false, or give images of brains alone",
                )
            ]
    return []


def unstripped_problems(brain: np.ndarray, shown: Mapping[str, np.ndarray]) -> list[Finding]:
    """Images of a scan declared to be stripped that show more than its brain mask.

    Parameters
    ----------
    shown : contrast -> its foreground.
    """
    for contrast, there in sorted(shown.items()):
        if there.shape != brain.shape or there.all():
            # Without a background nothing can be told.
            continue
        outside = (there & ~brain).sum() / brain.sum()
        if outside > OUTSIDE:
            return [
                (
                    f"is declared skull_stripped, but {contrast} shows {outside:.0%} of the brain "
                    "mask's volume outside of it",
                    "set skull_stripped: false, or give images of brains alone",
                )
            ]
    return []


def header_warnings(header, shape: tuple[int, ...]) -> list[Finding]:
    """Affines of a NIfTI header that disagree, or that nobody vouches for."""
    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes == (0, 0):
        said = "its header says neither where it lies nor which way is up (both codes are 0)"
        return [(said, "look at its quality control: orientation was guessed")]
    if 0 in codes:
        return []
    try:
        one, other = np.asarray(header.get_sform(), float), np.asarray(header.get_qform(), float)
    except ValueError:
        return [("its qform cannot be read", "the sform is used; mend the header")]
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape[:3]])).reshape(3, -1)
    shift = (one - other)[:3]
    apart = float(np.linalg.norm(shift[:, :3] @ corners + shift[:, 3:], axis=0).max())
    if apart <= APART_MM:
        return []
    said = f"its sform and qform lie up to {apart:.3g} mm apart"
    return [(said, "the sform is used; programs that take the other will disagree")]
