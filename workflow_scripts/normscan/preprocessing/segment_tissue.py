"""Tissue segmentation: cerebrospinal fluid, grey and white matter of a brain without its skull.

Source: Chatterjee et al. 2022 (StRegA), section 3.2.1: a hidden Markov random field fitted by
expectation maximisation, with bias correction, three tissues and background (there FSL FAST).
Here Atropos (Avants et al. 2011, "An open source multivariate framework for n-tissue segmentation")
in ANTs after N4: the same model, and nothing else to install.

``output: image`` puts the label map in the place of each contrast's image, as the paper does:
labels in the order of brightness, divided by their number, so in 0..1 and brighter where the image
is. ``output: layer`` leaves the images alone and hands on one map of the scan, labels by tissue
(:data:`TISSUES`), to packing. Which tissue a class is follows from the order of the tissues'
brightness in its contrast (:data:`BRIGHTNESS`), a matter of textbooks, not of the papers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from normscan.errors import ConfigError, ScanError
from normscan.files import save_nifti
from normscan.preprocessing.correct_bias import n4
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.images import brain_on, change_images
from normscan.preprocessing.naming import tissue_name
from normscan.preprocessing.transforms import to_ants
from normscan.preprocessing.volumes import Prepared

SETTINGS = {
    "output": "image",
    "reference": "T1w",
    "iterations": 5,
    "smoothness": 0.2,
    "least_share": 0.02,
}
ALLOWED = {
    "output": ["image", "layer"],
    "reference": ["T1w", "T2w", "FLAIR", "T1ce", "PD", "DWI"],
    "iterations": "1..",
    "smoothness": "0..1",
    "least_share": "0..<0.3",
}
MEANING = {
    "output": "image: label maps take the place of images; layer: one map becomes the layer "
    "`tissue`",
    "reference": "contrast that the layer is made from, where a scan has it",
    "iterations": "of the fit",
    "smoothness": "weight of equal labels among neighbours (Atropos's -m)",
    "least_share": "of the brain that each tissue must have [share]",
}
# Layers of the slices that it makes, and with which settings; steps that it must come after.
LAYERS = {"tissue": {"output": "layer"}}
AFTER = ["strip_skull"]
IMAGE, LAYER = "image", "layer"
TISSUES = {"csf": 1, "grey matter": 2, "white matter": 3}
# Tissues from dark to bright.
BRIGHTNESS = {
    "T1w": (1, 2, 3),
    "T1ce": (1, 2, 3),
    "T2w": (3, 2, 1),
    "FLAIR": (1, 3, 2),
    "PD": (3, 1, 2),
    "DWI": (1, 3, 2),
}
CLASSES = 3
# Means of neighbouring classes are apart by so much of their range, or the classes are none.
APART = 0.05
# Percentile from which on intensities are cut off: k-means starts evenly between the ends of their
# range, and a few bright vessels, or lesions on FLAIR, would become a class of their own. Spinal
# fluid is more of a brain than that.
USUAL = 98.0
LOG = logging.getLogger("normscan")


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    output: str,
    reference: str,
    iterations: int,
    smoothness: float,
    least_share: float,
) -> Prepared:
    """Segment the tissues of a scan.

    Parameters
    ----------
    output, reference, iterations, smoothness, least_share : see ``SETTINGS``.

    Raises
    ------
    ConfigError : an unknown output.
    ScanError : there is no brain mask, or what was found are not three tissues.
    """
    if output not in (IMAGE, LAYER):
        raise ConfigError(f"segment_tissue.output: found '{output}'; allowed: {IMAGE}, {LAYER}")
    if not prepared.brain:
        raise ScanError(
            prepared.scan,
            next(iter(prepared.images.values()), ""),
            "has no brain mask to segment tissues in",
            "put 'strip_skull' before 'segment_tissue'",
        )

    def ranks(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        try:
            return classes(data, brain, grid, iterations, smoothness, least_share)
        except ValueError as error:
            raise ScanError(
                prepared.scan,
                prepared.images[contrast],
                f"no three tissues were found in it: {error}",
                "look at the volume and its brain mask; exclude the scan, or lower "
                "segment_tissue.least_share if this is what it is",
            ) from None

    if output == LAYER:
        return _with_layer(prepared, folder, prepared.reference(reference), ranks)

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        return (ranks(contrast, data, brain, grid) / np.float32(CLASSES)).astype(np.float32)

    return change_images(prepared, folder, "segment_tissue", change)


def _with_layer(
    prepared: Prepared, folder: Path, contrast: str, ranks: Callable[..., np.ndarray]
) -> Prepared:
    """The scan with a label map by tissue, made from one of its contrasts."""
    data, grid = read_volume(prepared.images[contrast])
    found = ranks(contrast, data, brain_on(prepared, grid, contrast), grid)
    path = str(Path(folder, tissue_name(prepared.scan, prepared.space)))
    save_nifti(path, by_tissue(found, contrast), grid.affine, np.uint8)
    return replace(prepared, tissue=path)


def classes(
    data: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    iterations: int = 5,
    smoothness: float = 0.2,
    least_share: float = 0.02,
) -> np.ndarray:
    """Classes of a brain's voxels, 1 (darkest) to 3 (brightest), 0 outside (int, like ``data``).

    Parameters
    ----------
    data : float32 (x, y, z), any scale.
    brain : booleans.
    iterations, smoothness, least_share : see ``SETTINGS``.

    Raises
    ------
    ValueError : a class is too small, or hardly brighter than the one before; says what was found.
    """
    values = data[brain]
    if not values.max() > values.min():
        raise ValueError("the brain has one intensity only")
    corrected = n4(data, brain, grid)
    low, high = np.percentile(corrected[brain], [100 - USUAL, USUAL])
    # From 1 to 2: a scan that was z-scored before has negative values, which Atropos is lost on.
    usual = 1 + (corrected.clip(low, high) - low) / max(high - low, np.finfo(np.float32).tiny)
    labels = _atropos(np.where(brain, usual, 0), brain, grid, iterations, smoothness)
    sizes = np.bincount(labels[brain], minlength=CLASSES + 1)[1 : CLASSES + 1]
    shares = sizes / sizes.sum() if sizes.sum() else np.zeros(CLASSES)
    if len(shares) < CLASSES or (shares < max(least_share, 1e-9)).any():
        raise ValueError(
            f"classes have {_percent(shares)} of the brain; each must have at least "
            f"{least_share:.0%}"
        )
    means = np.array([corrected[labels == label].mean() for label in range(1, CLASSES + 1)])
    order = np.argsort(means)
    steps = np.diff(means[order])
    if (steps < APART * np.ptp(means)).any():
        raise ValueError(f"mean intensities of the classes are {means[order].round(3).tolist()}")
    rank = np.zeros(CLASSES + 1, np.int64)
    rank[order + 1] = np.arange(1, CLASSES + 1)
    LOG.info("tissues from dark to bright: %s of the brain", _percent(shares[order]))
    return np.where(brain, rank[labels], 0)


def by_tissue(ranks: np.ndarray, contrast: str) -> np.ndarray:
    """Classes in order of brightness as labels of :data:`TISSUES`."""
    return np.array([0, *BRIGHTNESS[contrast]])[ranks]


def _atropos(
    data: np.ndarray, brain: np.ndarray, grid: Grid, iterations: int, smoothness: float
) -> np.ndarray:
    """Labels 1 to 3 in the order of k-means, 0 outside of the brain. ValueError when it fails."""
    import ants

    try:
        # A map of labels, and one of each class's probability.
        labels, _ = ants.atropos(
            a=to_ants(data, grid),
            x=to_ants(brain.astype(np.float32), grid),
            i=f"Kmeans[{CLASSES}]",
            m=f"[{smoothness},1x1x1]",
            c=f"[{iterations},0]",
            # Without random numbers: starts and updates in a fixed order.
            r=0,
        ).values()
    except Exception as error:  # ANTs has no exceptions of its own.
        raise ValueError(f"Atropos failed ({' '.join(str(error).split())})") from None
    return np.rint(labels.numpy()).astype(np.int64)


def _percent(shares: np.ndarray) -> str:
    return ", ".join(f"{share:.1%}" for share in shares)
