"""How lesions stand out from normal tissue in several contrasts (Kim et al. 2021, Fig. 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas
from matplotlib.figure import Figure

from normscan.evaluation.examples import typical_scans
from normscan.evaluation.found import Found
from normscan.evaluation.truth import fullest_slice
from normscan.figures.collection import Figures
from normscan.figures.orientation import NEUROLOGICAL, orient
from normscan.figures.style import ANOMALOUS, NORMAL, TRUTH, new_figure, styled


def add_contrasts(
    figures: Figures,
    cohort: str,
    manifests: Sequence[str],
    metrics: pandas.DataFrame,
    labels: Sequence[int],
) -> None:
    """A slice of the patient in the middle by lesion volume; nothing where there is one contrast.

    Parameters
    ----------
    manifests : detections of any approach.
    metrics : of the cohort's test patients.
    """
    rows = metrics[(metrics["level"] == "scan") & (metrics["metric"] == "lesion_volume_ml")]
    rows = rows.drop_duplicates("scan")
    of = dict(zip(rows["scan"], rows["subject"]))
    found = {scan: one for one in map(Found, manifests) for scan in one.scans if scan in of}
    volumes = {scan: v for scan, v in zip(rows["scan"], rows["value"]) if scan in found}
    patients = typical_scans(volumes, of)
    if not len(patients):
        return
    scan = patients["scan"].iloc[(len(patients) - 1) // 2]
    lesion, ignored = found[scan].truth(scan, labels)
    z = fullest_slice(lesion)
    slices = found[scan].contrasts(scan, z)
    if len(slices) < 2:
        return
    figures.add(
        contrast_scatter(
            slices, lesion[:, :, z], ignored[:, :, z], orientation=figures.orientation
        ),
        "contrasts",
        "Slices",
        f"{cohort}: {scan}: contrasts against each other",
        "As the networks see them: the slice with most lesion voxels of the patient with the "
        "median lesion volume, and the intensities of its pixels in every pair of contrasts. What "
        "overlaps in one contrast may lie apart in two. " + figures.sides,
    )


@styled
def contrast_scatter(
    slices: Mapping[str, np.ndarray],
    lesion: np.ndarray,
    ignored: np.ndarray,
    *,
    orientation: str = NEUROLOGICAL,
) -> Figure:
    """The contrasts of one slice, and normal and lesion pixels in every pair of them.

    Parameters
    ----------
    slices : contrast -> (x, y) intensities, 0 outside of the brain in all of them.
    lesion, ignored : (x, y) bool; ignored pixels are left out below.
    """
    names = list(slices)
    pairs = list(combinations(names, 2))
    columns = len(names)
    rows = 1 + -(-len(pairs) // columns)
    figure = new_figure(2.4 * columns, 2.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(panels[0], names):
        axes.imshow(np.asarray(slices[name], float).T, cmap="gray", origin="lower")
        if lesion.any():
            axes.contour(lesion.T.astype(float), levels=[0.5], colors=[TRUTH], linewidths=0.9)
        axes.set_title(name)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        orient(axes, orientation)
    inside = np.any([one != 0 for one in slices.values()], axis=0) & ~ignored
    below = panels[1:].ravel()
    for axes, (across, up) in zip(below, pairs):
        for chosen, colour, label in (
            (inside & ~lesion, NORMAL, "normal"),
            (inside & lesion, ANOMALOUS, "lesion"),
        ):
            x, y = slices[across][chosen], slices[up][chosen]
            axes.scatter(x, y, s=2, color=colour, alpha=0.35, linewidth=0, label=label)
        axes.set(xlabel=across, ylabel=up)
    for axes in below[len(pairs) :]:
        axes.set_visible(False)
    below[0].legend(markerscale=3, loc="upper left")
    return figure
