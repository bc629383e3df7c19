"""Lesions pasted on healthy scans, each on the host's own native grids.

Source: Chatterjee et al. 2022 (StRegA), Eq. 15 and section 3.3.1. The paper resizes both volumes to
256x256 slices and adds one to the other. Scans on any grids need corresponding places: host and
patient are each registered affinely to one atlas, and the lesion goes from one to the other through
it, so that heads can meet brains, contrasts others, and masks without images need no other way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from normscan.cohorts.scans import Scan
from normscan.cohorts.synthetic.blend import blended, intensity_range, normalised
from normscan.cohorts.synthetic.intensities import BLENDS, default_contrast, made_pattern
from normscan.cohorts.synthetic.mass_effect import displaced
from normscan.cohorts.synthetic.shapes import made_shape
from normscan.errors import NormscanError
from normscan.files import save_nifti
from normscan.preprocessing.atlases import Atlas, atlas_mask, has_brain_mask
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.masks import filled_support, head_support
from normscan.preprocessing.native import (
    all_to_atlas,
    between_contrasts,
    owner,
    with_mask_grids,
)
from normscan.preprocessing.resample import resample
from normscan.preprocessing.transforms import write_affine
from normscan.preprocessing.volumes import Prepared

# The contrast of the atlases, or what is nearest to it: FLAIR of brains with large tumours,
# registered to a T1w atlas, made lesions up to twice as large.
REFERENCES = ("T1w", "T1ce")
RESOLUTION_MM = 2.0


@dataclass(frozen=True)
class Lesion:
    """A lesion somewhere else.

    Attributes
    ----------
    labels : (x, y, z) integers on ``grid``, the labels that count alone.
    affine : (4, 4) from points of the space that is shared with hosts to points of ``grid``.
    images : contrast of a host -> volume that shows the lesion, and the same affine for it.
    """

    name: str
    labels: np.ndarray
    grid: Grid
    affine: np.ndarray
    images: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A healthy scan, and for each of its volumes the affine from the shared space to it.

    ``found`` is the atlas of the shared space, if it is one's.
    """

    name: str
    prepared: Prepared
    affines: dict[str, np.ndarray]
    skull_stripped: bool
    found: Atlas | None = None

    def contrast(self) -> str:
        """Contrast on whose grid the lesion mask is written."""
        return reference_of(self.prepared)

    def brain(self, contrast: str) -> np.ndarray:
        """Where a lesion may lie on a contrast's grid.

        The given brain mask, what a stripped scan shows, the atlas's brain, or else the head.
        """
        data, grid = read_volume(self.prepared.images[contrast])
        back = np.linalg.inv(self.affines[contrast])
        if self.prepared.brain:
            mask, source = read_mask(self.prepared.brain)
            drawn_on = owner(self.prepared, self.prepared.brain, self.prepared.native)
            return moved(mask, source, grid, self.affines[drawn_on] @ back, "nearest") > 0.5
        if self.skull_stripped:
            return filled_support(data)
        if self.found is not None and has_brain_mask(self.found):
            source = Grid.of(self.found.template)
            return moved(atlas_mask(self.found), source, grid, back, "nearest") > 0.5
        return head_support(data)

    def labels(self, lesion: Lesion, contrast: str) -> np.ndarray:
        """A lesion's labels (int32) on a contrast's grid, also where there is no brain."""
        grid = Grid.of(self.prepared.images[contrast])
        matrix = lesion.affine @ np.linalg.inv(self.affines[contrast])
        return np.rint(moved(lesion.labels, lesion.grid, grid, matrix, "nearest")).astype(np.int32)

    def inside(self, lesion: Lesion) -> float:
        """Share of a lesion's volume that is inside of the brain and of the field of view."""
        contrast = self.contrast()
        grid = Grid.of(self.prepared.images[contrast])
        there = (self.labels(lesion, contrast) != 0) & self.brain(contrast)
        matrix = lesion.affine @ np.linalg.inv(self.affines[contrast])
        whole = (lesion.labels != 0).sum() * lesion.grid.voxel_ml / np.linalg.det(matrix[:3, :3])
        return min(float(there.sum() * grid.voxel_ml / whole), 1.0) if whole else 0.0


def reference_of(prepared: Prepared) -> str:
    """Contrast of a scan that is registered to an atlas."""
    there = [one for one in REFERENCES if one in prepared.images]
    return prepared.reference(there[0] if there else REFERENCES[0])


def moved(
    data: np.ndarray, source: Grid, target: Grid, matrix: np.ndarray, interpolation: str
) -> np.ndarray:
    """An array on another grid; ``matrix`` takes points (LPS+, mm) of the target to the source."""
    if np.allclose(matrix, np.eye(4), atol=1e-9):
        return resample(data, source, target, interpolation=interpolation)
    with tempfile.TemporaryDirectory() as work:
        path = write_affine(Path(work, "affine.mat"), matrix)
        return resample(data, source, target, [path], interpolation)


def aligned(
    scan: Scan, skull_stripped: bool, cohort_space: str, shared: str, found: Atlas | None, seed: int
) -> dict[str, np.ndarray]:
    """Contrast -> affine (4, 4) from points of a shared space to points of a scan's volume.

    Parameters
    ----------
    cohort_space : atlas in whose space the scan already is, "" for native space.
    shared : name of the shared space.
    found : its atlas; None: the shared space is that of the scan's own reference contrast.
    """
    prepared = Prepared.from_scan(scan)
    native, contrast = with_mask_grids(prepared), reference_of(prepared)
    if cohort_space and cohort_space == shared:
        return {name: np.eye(4) for name in native}
    if found is None:
        return between_contrasts(native, contrast, cohort_space, seed)
    with tempfile.TemporaryDirectory() as work:
        _, affines = all_to_atlas(
            native,
            contrast,
            found,
            transform="affine",
            skull_stripped=skull_stripped,
            cohort_space=cohort_space,
            seed=seed,
            folder=Path(work),
            scan=scan.id,
            resolution=RESOLUTION_MM,
        )
    return affines


def lesion_of(
    donor: Scan, affines: Mapping[str, np.ndarray], labels: Iterable[int], wanted: Mapping[str, str]
) -> Lesion:
    """The lesion of a patient, or of a mask alone.

    Parameters
    ----------
    affines : of the patient, as of :func:`aligned`; none: the mask lies in the shared space.
    labels : that count as lesion; none: all above 0.
    wanted : contrast of the host -> the patient's contrast that shows the lesion for it.

    Raises
    ------
    NormscanError : the mask holds none of the labels.
    """
    data, grid = read_volume(donor.lesion_mask, np.int32)
    kept = np.isin(data, list(labels)) if list(labels) else data > 0
    if not kept.any():
        raise NormscanError(f"{donor.lesion_mask}: holds no lesion that counts")
    found, affine = np.where(kept, data, 0), np.eye(4)
    if affines:
        affine = affines[owner(Prepared.from_scan(donor), donor.lesion_mask, donor.images)]
    images = {own: (donor.images[other], affines[other]) for own, other in wanted.items()}
    return Lesion(donor.subject, found, grid, affine, images)


def made_lesion(
    host: Host, kind: str, radius: tuple[float, float], rng: np.random.Generator
) -> Lesion:
    """A lesion in a host's own space, of a shape that is made (``shapes.SHAPES``)."""
    contrast = host.contrast()
    grid = Grid.of(host.prepared.images[contrast])
    shape = made_shape(kind, host.brain(contrast), grid.spacing, radius, rng)
    return Lesion(kind, shape.astype(np.int32), grid, host.affines[contrast])


def pasted(
    host: Host,
    lesion: Lesion,
    contrast: str,
    random: np.random.Generator,
    *,
    strength: float,
    blend: str,
    intensities: str,
    contrasts: Mapping[str, float],
    mass_effect: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """One contrast of a host with a lesion: image (float32), labels inside of the brain, grid.

    Parameters
    ----------
    blend : of a lesion with images, see :func:`blend.blended`.
    intensities, contrasts : of one without, see :func:`intensities.made_pattern`.
    mass_effect : mm by which the host's tissue gives way, see :func:`mass_effect.displaced`.

    Raises
    ------
    NormscanError : nothing of the lesion is on this contrast's grid.
    """
    data, grid = read_volume(host.prepared.images[contrast])
    brain = host.brain(contrast)
    labels = np.where(brain, host.labels(lesion, contrast), 0)
    inside = labels != 0
    if not inside.any():
        raise NormscanError(f"nothing of it is in the brain on the grid of {contrast}")
    low, scale = intensity_range(data, brain)
    if mass_effect:
        data = displaced(data, inside, brain, grid.spacing, mass_effect)
    if lesion.images:
        path, affine = lesion.images[contrast]
        image, source = read_volume(path)
        back = np.linalg.inv(host.affines[contrast])
        pattern = normalised(moved(image, source, grid, affine @ back, "linear"), inside)
    else:
        blend = BLENDS[intensities]
        strongest = contrasts.get(contrast, default_contrast(contrast))
        pattern = made_pattern(
            intensities, data, brain, inside, grid.spacing, low, scale, strongest, random
        )
    image = blended(data, pattern, inside, strength=strength, low=low, scale=scale, blend=blend)
    return image, labels, grid


def paste_scan(
    host: Host,
    lesion: Lesion,
    images: Mapping[str, str],
    lesion_mask: str,
    settings: Mapping[str, Any],
    random: Mapping[str, np.random.Generator],
) -> float:
    """Write a host's contrasts with a lesion, and its label map; returns its volume in ml.

    Parameters
    ----------
    images : contrast -> file to write.
    lesion_mask : label map to write, on the grid of the host's T1w, T1ce or else first contrast.
    settings : keywords of :func:`pasted`.
    random : contrast -> its random stream.

    Raises
    ------
    NormscanError : the lesion is not there on one of the grids; nothing that counts is written.
    """
    volume = 0.0
    for contrast, path in images.items():
        image, labels, grid = pasted(host, lesion, contrast, random[contrast], **settings)
        save_nifti(path, image, grid.affine, np.float32)
        if contrast == host.contrast():
            save_nifti(lesion_mask, labels, grid.affine, np.int16)
            volume = float((labels != 0).sum() * grid.voxel_ml)
    return volume
