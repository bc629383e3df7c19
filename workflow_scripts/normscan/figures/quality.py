"""Quality control: a montage per scan, and the numbers of a whole cohort with its outliers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.style import BLUE, GREY, VERMILLION, new_figure, pack_tightly, styled

_GROUND, _INK = "#000000", "#f2f2f2"
_ATLAS, _BRAIN = "#FF8C1A", "#00E5FF"
_NAMES = {
    "brain_ml": "brain volume (ml)",
    "mask_overlap": "overlap with the atlas's brain (Dice)",
    "dice_atlas": "overlap with the atlas's brain",
    "similarity": "similarity to the atlas",
    "correlation": "correlation with the atlas",
    "border_fraction": "brain at the border (share)",
    "lesion_outside": "lesions outside of the brain (share)",
    "lesion_ml": "lesions (ml)",
    "lesion_native_ml": "lesions, unresampled (ml)",
    "lost_lesion_ml": "lost lesions (ml)",
}


@styled
def scan_montage(
    volume: np.ndarray,
    *,
    atlas: np.ndarray | None = None,
    brain: np.ndarray | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    title: str = "",
    flagged: bool = False,
    positions: Sequence[float] = (0.4, 0.58),
) -> Figure:
    """A strip of axial, coronal and sagittal slices with the outlines of atlas and brain mask.

    Parameters
    ----------
    volume : (x, y, z) intensities, RAS+.
    atlas, brain : (x, y, z) masks: the atlas's brain (orange) and the scan's brain mask (cyan).
    spacing : mm per voxel along x, y, z.
    flagged : draws the title in a warning colour.
    positions : where to cut, as shares of the extent of what is not zero.
    """
    volume = np.asarray(volume, float)
    cuts = [(axis, index) for axis in (2, 1, 0) for index in _cuts(volume, axis, positions)]
    figure = new_figure(1.35 * len(cuts), 1.75 if title else 1.45)
    figure.set_facecolor(_GROUND)
    pack_tightly(figure, 0.01)
    inside = volume[volume > 0]
    top = float(np.percentile(inside, 99.5)) if inside.size else 1.0
    for axes, (axis, index) in zip(figure.subplots(1, len(cuts), squeeze=False)[0], cuts):
        across, up = [spacing[other] for other in range(3) if other != axis]
        picture = volume.take(index, axis).T
        axes.imshow(picture, cmap="gray", origin="lower", aspect=up / across, vmin=0, vmax=top)
        for mask, colour in ((atlas, _ATLAS), (brain, _BRAIN)):
            if mask is not None and (cut := np.asarray(mask).take(index, axis) > 0).any():
                axes.contour(cut.T.astype(float), levels=[0.5], colors=[colour], linewidths=0.8)
        axes.set_axis_off()
    if title:
        colour = "#ff9d5c" if flagged else _INK
        figure.suptitle(title, color=colour, fontsize=8, x=0.01, ha="left")
    return figure


def _cuts(volume: np.ndarray, axis: int, positions: Sequence[float]) -> list[int]:
    used = np.flatnonzero(volume.any(axis=tuple(other for other in range(3) if other != axis)))
    first, last = (used[0], used[-1]) if used.size else (0, volume.shape[axis] - 1)
    return [int(round(first + share * (last - first))) for share in positions]


@styled
def quality_overview(table, *, flagged: Collection[str] = (), title: str = "") -> Figure:
    """A panel per quality number: a point per scan, the middle half shaded, outliers named.

    Parameters
    ----------
    table : pandas table with a column ``scan`` and numbers; columns without numbers are ignored.
    flagged : ids of the scans to mark.
    """
    flagged = set(flagged)
    numbers = [name for name in table.select_dtypes("number").columns if table[name].notna().any()]
    columns = max(1, min(4, len(numbers)))
    rows = max(1, -(-len(numbers) // columns))
    figure = new_figure(2.4 * columns, 2.3 * rows + 0.3 * bool(title))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(numbers) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, numbers):
        _strip(axes, table["scan"].astype(str).to_numpy(), table[name].to_numpy(float), flagged)
        axes.set_title(_NAMES.get(name, name.replace("_", " ")), fontsize=8.5, fontweight="normal")
    if title:
        figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def _strip(axes, scans: np.ndarray, values: np.ndarray, flagged: set[str]) -> None:
    known = np.isfinite(values)
    low, middle, high = np.percentile(values[known], [25, 50, 75])
    axes.axhspan(low, high, color=BLUE, alpha=0.10, linewidth=0)
    axes.axhline(middle, color=GREY, linewidth=1)
    places = (np.arange(values.size) * 0.6180339887 + 0.5) % 1
    for place, scan, value in zip(places, scans, values):
        if not np.isfinite(value):
            continue
        marked = scan in flagged
        axes.plot([place], [value], "D" if marked else "o", markersize=5.5 if marked else 4,
                  color=VERMILLION if marked else BLUE, alpha=1 if marked else 0.75,
                  markeredgecolor="white", markeredgewidth=0.5)  # fmt: skip
        if marked:
            side = 1 if place < 0.5 else -1
            axes.annotate(scan, (place, value), (6 * side, 0), textcoords="offset points",
                          fontsize=7, color=VERMILLION, va="center",
                          ha="left" if side > 0 else "right")  # fmt: skip
    axes.set_xlim(-0.08, 1.08)
    axes.set_xticks([])
    axes.margins(y=0.15)
    if np.ptp(values[known]) < 1e-9:
        # Equal values: an axis of rounding errors would say that they differ.
        reach = 0.1 * abs(middle) or 0.01
        axes.set_ylim(middle - reach, middle + reach)
