"""What is sound by itself but cannot be meant: findings (problem, remedy) about a scan's volumes.

Limits are far from what scans of heads and brains show, so that none of those is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from normscan.cohorts.ringing import ringing

Finding = tuple[str, str]
# Far above any scanner's numbers, and where squares leave single precision.
LARGEST = 1e9
# Of the grid: brains take a tenth and more, lesions a hundredth.
LEAST_BRAIN, MOST_LESION = 1e-3, 0.5
# Of a brain: gliomas take up to a quarter, and a mask of nearly all is that of the brain.
MUCH_OF_BRAIN, ALL_OF_BRAIN = 0.5, 0.9
# Of the lesion that must lie in the brain: masks are cut a bit closely at times.
INSIDE = 0.5
# Of a brain's voxels: so many more outside of its mask are no rim that interpolation left; and so
# many beyond a rim are odd.
OUTSIDE, BEYOND_RIM = 0.2, 0.03
# Of the grid: not even a brain that is cropped closely fills so much of it.
MOST_SHOWN = 0.85
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
    lesion: np.ndarray,
    brain: np.ndarray | None,
    brain_is: str = "the brain mask",
    sure: bool = True,
) -> tuple[list[Finding], list[Finding]]:
    """Problems and warnings of a lesion mask.

    Parameters
    ----------
    brain : on the same grid; None: not known.
    brain_is : what it is, in words.
    sure : whether it lies where it belongs; if not, there are only warnings of it.
    """
    share = float(lesion.mean())
    if share > MOST_LESION:
        said = f"the lesion mask covers {share:.0%} of the image"
        return [(said, "give the mask of the lesions alone")], []
    if brain is None or not lesion.any():
        return [], []
    both = int((lesion & brain).sum())
    covered, inside = both / max(int(brain.sum()), 1), both / int(lesion.sum())
    remedy = "look at both: one of them may be shifted, mirrored or another scan's"
    problems, warnings = [], []
    if covered > MUCH_OF_BRAIN:
        said = f"the lesion mask covers {covered:.0%} of {brain_is}"
        found = problems if covered > ALL_OF_BRAIN else warnings
        found.append((said, "give the mask of the lesions alone"))
    if inside == 0:
        problems.append((f"the lesion mask lies outside of {brain_is}", remedy))
    elif inside < INSIDE:
        warnings.append((f"only {inside:.0%} of the lesion lie inside of {brain_is}", remedy))
    return (problems, warnings) if sure else ([], problems + warnings)


def foreground(data: np.ndarray) -> np.ndarray:
    """Voxels that are no background: 0, or without any 0 the one value of all corners.

    All are where nothing tells the background: the corners differ.
    """
    corners = data[np.ix_(*[(0, -1)] * 3)]
    if (data == 0).any() or (corners != corners.flat[0]).any():
        return data != 0
    return data != corners.flat[0]


def stripped_foreground(data: np.ndarray) -> tuple[np.ndarray, list[Finding]]:
    """What a volume declared to be stripped shows, and what is odd about its background."""
    background, height = ringing(data)
    if height:
        said = f"interpolation rings around its brain (values down to {data.min():.3g})"
        remedy = "values as faint count as background; strip the head after resampling it"
        return data > background + height, [(said, remedy)]
    there = foreground(data)
    share = float(there.mean())
    if share <= MOST_SHOWN:
        return there, []
    said = f"is declared skull_stripped, but has no background ({share:.0%} of its voxels show"
    remedy = "look at it, and set skull_stripped: false if it shows more than the brain"
    return there, [(said + " something)", remedy)]


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


def unstripped_findings(
    brain: np.ndarray, shown: Mapping[str, np.ndarray]
) -> tuple[list[Finding], list[Finding]]:
    """Problems and warnings of a stripped scan whose images show more than its brain mask.

    Parameters
    ----------
    shown : contrast -> its foreground.
    """
    warnings: list[Finding] = []
    for contrast, there in sorted(shown.items()):
        if there.shape != brain.shape or there.all():
            # Without a background nothing can be told.
            continue
        more = there & ~brain
        said = f"{contrast} shows {{:.0%}} of the brain mask's volume outside of it"
        outside = float(more.sum() / brain.sum())
        if outside > OUTSIDE:
            said = "is declared skull_stripped, but " + said.format(outside)
            remedy = "set skull_stripped: false, or give images of brains alone"
            return [(said, remedy)], []
        if outside > BEYOND_RIM:
            beyond = float((more & ~ndimage.binary_dilation(brain)).sum() / brain.sum())
            if beyond > BEYOND_RIM:
                remedy = "look at both: the image may show more than brain, or the mask lack some"
                warnings.append((said.format(outside), remedy))
    return [], warnings


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
