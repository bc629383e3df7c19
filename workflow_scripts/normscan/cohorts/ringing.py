"""Ringing around a brain that was stripped before it was resampled.

Splines and windowed sinc functions overshoot at its edge: around it lies a shell of faint values,
half of them darker than the background. A module of its own, since masks of brains rest on it:
limits of checks may change, and none of them is made anew.
"""

from __future__ import annotations

import numpy as np

# Of the largest distance from the background: what is nearer to it is none.
TOLERANCE = 1e-4
# Interpolation leaves a shell of which half is darker than the background, by a tenth of the brain:
# least share of the voxels shown, most of their bright values, most of their sum. Z-scores are
# darker by as much as they are brighter, and the few dark voxels of denoised brains are no shell.
RINGING, RINGS_TO, RINGS_BY = 0.03, 0.25, 0.1


def ringing(data: np.ndarray) -> tuple[float, float]:
    """Background of a stripped volume, and how far interpolation rings beyond it around the brain.

    Returns
    -------
    background, height : values up to ``background + height`` may be such; 0: it does not ring.
    """
    corners = data[np.ix_(*[(0, -1)] * 3)]
    background = float(np.median(corners))
    apart = data - background
    least = TOLERANCE * max(float(apart.max()), -float(apart.min()))
    if np.abs(corners - background).max() > least:
        # It has none.
        return background, 0.0
    darker = apart[apart < -least]
    brighter = apart[apart > least]
    if not brighter.size or darker.size < RINGING * (darker.size + brighter.size):
        return background, 0.0
    if -float(darker.sum()) > RINGS_BY * float(brighter.sum()):
        return background, 0.0
    height = -float(np.percentile(darker, 1))
    # Above all faint values, of which a wide shell may hold more than there is brain.
    bright = brighter[brighter > height]
    rings = bright.size > 0 and height <= RINGS_TO * float(np.percentile(bright, 90))
    return background, height if rings else 0.0
