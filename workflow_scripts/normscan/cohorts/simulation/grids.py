"""Voxel sizes of simulated scans; without NumPy, since they are checked when a run is planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normscan.errors import ConfigError

# Voxels in mm as in clinical protocols: a nearly isotropic T1w, thick slices else.
VOLUMETRIC, THICK = (1.4, 1.4, 1.6), (1.2, 1.2, 3.0)
FINEST, COARSEST = 0.5, 10


def voxel_sizes(spacing: Any, contrasts: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Voxel size in mm by contrast.

    Parameters
    ----------
    spacing : one number, three numbers, or either by contrast; None: clinical grids.

    Raises
    ------
    ConfigError : sizes that are none, or of a contrast that is not simulated.
    """
    by_contrast = spacing if isinstance(spacing, dict) else dict.fromkeys(contrasts, spacing)
    if others := [name for name in by_contrast if name not in contrasts]:
        raise ConfigError(
            f"simulation.spacing: found contrast {others[0]!r}; simulation.contrasts has "
            f"{', '.join(contrasts)}"
        )
    return {contrast: _voxel(by_contrast.get(contrast), contrast) for contrast in contrasts}


def _voxel(given: Any, contrast: str) -> tuple[float, float, float]:
    if given is None:
        return VOLUMETRIC if contrast.startswith("T1") else THICK
    sizes = given if isinstance(given, (list, tuple)) else (given,) * 3
    numbers = [
        float(size)
        for size in sizes
        if isinstance(size, (int, float)) and not isinstance(size, bool)
    ]
    fits = len(sizes) == len(numbers) == 3
    if not fits or not all(FINEST <= size <= COARSEST for size in numbers):
        raise ConfigError(
            f"simulation.spacing: found {given!r} for {contrast}; must be one or three voxel "
            f"sizes between {FINEST} and {COARSEST} mm"
        )
    x, y, z = numbers
    return x, y, z
