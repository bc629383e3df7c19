"""Rows of slices: input, reconstruction, anomaly map, detection, truth.

Slices are arrays (x, y) with x towards the patient's right and y towards the front (RAS+), and are
shown front up, with the patient's left on the side that ``orientation`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from normscan.figures.dark import (
    GROUND,
    INK,
    bare,
    colour_bar,
    dark_figure,
    row_label,
    sides,
    small_bar,
)
from normscan.figures.orientation import NEUROLOGICAL, orient
from normscan.figures.style import FALSE_ALARM, HIT, IGNORED, TRUTH, styled

# Draws a row's slice into axes, given the end of its scale and whether maps are signed.
Painter = Callable[[Any, Mapping[str, Any], float, bool], Any]
# Kinds with a scale of their own, and what its bar says.
_BARS = {
    "map": "anomaly score",
    "uncertainty": "uncertainty (std)",
    "entropy": "entropy (nats)",
}


@styled
def slice_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str = "",
    map_limit: float | None = None,
    crop: bool = True,
    columns: Mapping[str, tuple[str, Painter]] | None = None,
    orientation: str = NEUROLOGICAL,
) -> Figure:
    """One row per slice; columns that no row has are left out (no truth: a screening page).

    Parameters
    ----------
    rows : mappings with ``label`` (text beside the row), ``image`` (h, w), and as far as there
        are: ``reconstruction`` (h, w) on the image's scale, ``map`` (h, w) scores, signed or not,
        ``uncertainty`` (h, w) in units of intensity, with a scale and a bar of its own,
        ``detection`` (h, w) mask, ``truth`` (h, w) mask of the lesions, ``ignored`` (h, w) mask
        of what counts on neither side; optional ``reconstruction_name`` (``restored``).
    map_limit : score at the end of the colour scale; default: 99.8th percentile of what is shown.
    crop : cut away the empty border that all rows have.
    columns : key of an array (h, w) in the rows -> what stands above it, and what draws it; default
        :data:`COLUMNS`.
    orientation : of ``figures.orientation``.
    """
    known = columns or COLUMNS
    rows = cropped(list(rows), set(known)) if crop else list(rows)
    shown = [key for key in known if any(row.get(key) is not None for row in rows)]
    bars = sum(kind in shown for kind in _BARS)
    figure = dark_figure(len(rows), len(shown), bool(title), "truth" in shown, bars)
    panels = figure.subplots(max(1, len(rows)), max(1, len(shown)), squeeze=False)
    limits = {kind: scale_end([row.get(kind) for row in rows]) for kind in _BARS}
    limits["map"] = map_limit or limits["map"]
    signed = any(row.get("map") is not None and np.min(row["map"]) < 0 for row in rows)
    painted = {}
    for place, row in enumerate(rows):
        for column, key in enumerate(shown):
            axes = panels[place, column]
            bare(axes)
            if row.get(key) is not None:
                limit = limits.get(key, limits["map"])
                painted[key] = known[key][1](axes, row, limit, signed)
            if place == 0:
                name = row.get("reconstruction_name") if key == "reconstruction" else None
                _name(axes, name or known[key][0])
        row_label(panels[place, 0], str(row.get("label", "")))
    for axes in panels.ravel():
        orient(axes, orientation)
    for kind, label in reversed(_BARS.items()):
        if kind in painted:
            colour_bar(figure, panels, painted[kind], label)
    sides(panels[0, 0], orientation)
    legend(figure, shown, any(np.any(ignored_of(row)) for row in rows))
    if title:
        figure.suptitle(title, color=INK, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def spread_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """What an uncertainty is, where one is shown."""
    if not any("uncertainty" in row for row in rows):
        return ""
    return " The uncertainty is the standard deviation of the reconstructions, unfiltered."


@styled
def approach_rows(
    image: np.ndarray,
    results: Mapping[str, Mapping[str, np.ndarray | None]],
    *,
    truth: np.ndarray | None = None,
    ignored: np.ndarray | None = None,
    title: str = "",
    orientation: str = NEUROLOGICAL,
) -> Figure:
    """One slice under several approaches: reconstructions above, anomaly maps below (Fig. 6).

    Where one of them has an uncertainty, there is a third row.

    Parameters
    ----------
    image : (h, w) input.
    results : approach -> {"reconstruction": (h, w) or None, "map": (h, w), "uncertainty": (h, w) or
        None}. Every map has its own colour scale, since scores of different approaches cannot be
        compared.
    truth : (h, w) mask of the lesions, drawn as a contour.
    ignored : (h, w) mask of what counts on neither side, drawn as a contour of its own.
    orientation : of ``figures.orientation``.
    """
    names = list(results)
    shown = {"image": image, "truth": truth, "ignored": ignored}
    given = [shown, *({"image": image, **results[n]} for n in names)]
    first, *cut = cropped(given)
    image, truth, results = first["image"], first["truth"], dict(zip(names, cut))
    spreads = [name for name in names if results[name].get("uncertainty") is not None]
    count = 3 if spreads else 2
    figure = dark_figure(count, len(names) + 1, bool(title), False)
    panels = figure.subplots(count, len(names) + 1, squeeze=False)
    for axes in panels.ravel():
        bare(axes)
    _paint_image(panels[0, 0], first)
    _name(panels[0, 0], "input")
    if truth is not None:
        _paint_truth(panels[1, 0], first)
        _name(panels[1, 0], "lesions")
    for column, name in enumerate(names, start=1):
        row = {"image": image, "truth": truth, **results[name]}
        _name(panels[0, column], name)
        if row.get("reconstruction") is not None:
            _paint_reconstruction(panels[0, column], row)
        if row.get("map") is not None:
            _paint_map(panels[1, column], row, scale_end([row["map"]]), np.min(row["map"]) < 0)
        if name in spreads:
            axes, limit = panels[2, column], scale_end([row["uncertainty"]])
            small_bar(axes, _paint_uncertainty(axes, row, limit))
            _name(axes, "uncertainty")
    for axes in panels.ravel():
        orient(axes, orientation)
    sides(panels[0, 0], orientation)
    if title:
        figure.suptitle(title, color=INK, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def _name(axes, text: str) -> None:
    axes.set_title(text, color=INK, fontsize=8.5, loc="center", fontweight="normal")


def cropped(
    rows: Sequence[Mapping[str, Any]], further: Collection[str] = ()
) -> list[dict[str, Any]]:
    """All arrays cut to the box that holds what is not zero in any image, with a small margin."""
    arrays = {*COLUMNS, "ignored", *further}
    shapes = {np.shape(row["image"]) for row in rows}
    used = np.zeros(shapes.pop(), bool) if len(shapes) == 1 else np.zeros((0, 0), bool)
    for row in rows if used.size else []:
        used |= np.asarray(row["image"]) != 0
    if not used.any():
        return [dict(row) for row in rows]
    box = tuple(slice(max(0, places.min() - 2), places.max() + 3) for places in np.nonzero(used))
    return [
        {key: np.asarray(value)[box] if key in arrays and value is not None else value
         for key, value in row.items()}
        for row in rows
    ]  # fmt: skip


def grey_range(image: np.ndarray) -> tuple[float, float]:
    """Intensities that are shown black and white: all but the brightest half percent of tissue."""
    image = np.asarray(image, float)
    inside = image[image > 0]
    top = np.percentile(inside, 99.5) if inside.size else 1.0
    return min(0.0, float(image.min())), float(top) or 1.0


def _grey(axes, values: np.ndarray, row: Mapping[str, Any], dim: float = 1.0):
    low, high = grey_range(row["image"])
    return axes.imshow(np.asarray(values, float).T, cmap="gray", origin="lower", vmin=low,
                       vmax=low + (high - low) / dim)  # fmt: skip


def _paint_image(axes, row, limit=None, signed=False):
    return _grey(axes, row["image"], row)


def _paint_reconstruction(axes, row, limit=None, signed=False):
    return _grey(axes, row["reconstruction"], row)


def _paint_map(axes, row, limit: float, signed: bool):
    values = np.asarray(row["map"], float).T
    if signed:
        return axes.imshow(values, cmap="RdBu_r", origin="lower", vmin=-limit, vmax=limit)
    return axes.imshow(values, cmap="inferno", origin="lower", vmin=0, vmax=limit)


def _paint_uncertainty(axes, row, limit: float, signed=False):
    values = np.asarray(row["uncertainty"], float).T
    return axes.imshow(values, cmap=_SURE_TO_UNSURE, origin="lower", vmin=0, vmax=limit)


def _paint_detection(axes, row, limit=None, signed=False):
    drawn = _grey(axes, row["image"], row, dim=0.75)
    detection = np.asarray(row["detection"]) > 0
    truth = np.zeros_like(detection) if row.get("truth") is None else np.asarray(row["truth"]) > 0
    hits = HIT if row.get("truth") is not None else FALSE_ALARM
    ignored = ignored_of(row)
    false = detection & ~truth & ~ignored
    for mask, colour in (
        (detection & truth, hits),
        (false, FALSE_ALARM),
        (detection & ignored, IGNORED),
    ):
        _fill(axes, mask, colour)
    draw_contour(axes, ignored, IGNORED)
    draw_contour(axes, truth)
    return drawn


def _paint_truth(axes, row, limit=None, signed=False):
    drawn = _grey(axes, row["image"], row)
    draw_contour(axes, ignored_of(row), IGNORED)
    draw_contour(axes, np.asarray(row["truth"]) > 0)
    return drawn


def ignored_of(row) -> np.ndarray:
    found = row.get("ignored")
    return np.zeros(np.shape(row["image"]), bool) if found is None else np.asarray(found) > 0


def _fill(axes, mask: np.ndarray, colour: str) -> None:
    paint = np.zeros((*mask.T.shape, 4))
    paint[mask.T] = (*to_rgb(colour), 0.8)
    axes.imshow(paint, origin="lower")


def draw_contour(axes, mask: np.ndarray, colour: str = TRUTH) -> None:
    """The outline of a mask (h, w) over a slice; nothing of an empty one."""
    if mask.any():
        # A rim of zeros closes contours of lesions that touch the border.
        padded = np.pad(mask.T.astype(float), 1)
        x, y = (np.arange(size) - 1 for size in padded.shape[::-1])
        axes.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=0.9)
        axes.set_xlim(-0.5, mask.shape[0] - 0.5)
        axes.set_ylim(-0.5, mask.shape[1] - 0.5)


def scale_end(maps: Sequence[np.ndarray | None]) -> float:
    shown = [np.abs(values).ravel() for values in maps if values is not None]
    if not shown:
        return 1.0
    values = np.concatenate(shown)
    values = values[values > 0]
    return float(np.percentile(values, 99.8)) if values.size else 1.0


def legend(figure: Figure, columns: Sequence[str], ignored: bool) -> None:
    if "truth" not in columns:
        return
    parts = [Line2D([], [], color=TRUTH, label="annotated lesion")]
    if "detection" in columns:
        parts = [Patch(color=HIT, label="detected, in a lesion"),
                 Patch(color=FALSE_ALARM, label="detected, outside"), *parts]  # fmt: skip
    parts += [Line2D([], [], color=IGNORED, label="other label, not counted")] * ignored
    figure.legend(handles=parts, loc="outside lower center", ncols=len(parts), labelcolor=INK,
                  fontsize=7.5, facecolor=GROUND)  # fmt: skip


# Black where all reconstructions agree, and unlike the colours of maps.
_SURE_TO_UNSURE = LinearSegmentedColormap.from_list(
    "uncertainty", ["#000000", "#17508a", "#2fb5a5", "#f4f7d0"]
)
COLUMNS: dict[str, tuple[str, Painter]] = {
    "image": ("input", _paint_image),
    "reconstruction": ("reconstruction", _paint_reconstruction),
    "map": ("anomaly map", _paint_map),
    "uncertainty": ("uncertainty", _paint_uncertainty),
    "detection": ("detection", _paint_detection),
    "truth": ("lesions", _paint_truth),
}
