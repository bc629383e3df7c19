"""Scans that are not skull-stripped: a mask of the body takes the place of the brain's.

Source: Kobayashi et al. 2021, section III-C-6, evaluates inside of the body and excludes the air
around it, without skull stripping. How the body is found is not given; here by
:func:`~normscan.preprocessing.masks.body_support` in each contrast, all of them together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from normscan.errors import ScanError
from normscan.files import save_nifti
from normscan.preprocessing.grids import read_mask, read_volume
from normscan.preprocessing.masks import body_support, filled_support
from normscan.preprocessing.naming import body_name, brain_name
from normscan.preprocessing.volumes import Prepared

SETTINGS = {"closing": 6.0}
ALLOWED = {"closing": "0..50"}
MEANING = {
    "closing": "gaps in the body up to twice as wide belong to it [mm]",
}


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    closing: float,
    skull_stripped: bool,
    cohort_space: str = "",
) -> Prepared:
    """Find a scan's body; its volumes stay as they are.

    What reads the layer ``brain`` later sees the body: normalisation, packing, detection,
    evaluation.

    Parameters
    ----------
    closing : gaps in the body up to twice as wide (mm) belong to it.
    skull_stripped : the scans have no skull: their brain is all there is of the body. Its mask is
        the given one (registration makes one) or what differs from the background.
    cohort_space : not used.

    Raises
    ------
    ScanError : no body was found.
    """
    volumes = [read_volume(path) for path in prepared.images.values()]
    grid = volumes[0][1]
    if skull_stripped and prepared.brain:
        mask = read_mask(prepared.brain)[0]
    elif skull_stripped:
        mask = np.any([filled_support(data) for data, _ in volumes], axis=0)
    else:
        found = [body_support(data, where.spacing, closing) for data, where in volumes]
        mask = np.any(found, axis=0)
    if not mask.any() or mask.all():
        raise ScanError(
            prepared.scan,
            next(iter(prepared.images.values())),
            "no body was found that differs from the air around it",
            "look at the registered volume, or exclude the scan",
        )
    name = (brain_name if skull_stripped else body_name)(prepared.scan, prepared.space)
    path = str(Path(folder, name))
    save_nifti(path, mask, grid.affine, np.uint8)
    return replace(prepared, brain=path)
