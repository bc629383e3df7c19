"""Rows of slices: input, reconstruction, anomaly map, detection, truth.

Slices are arrays (x, y) with x towards the patient's right and y towards the front (RAS+), and
are shown as a neurologist looks: patient's left on the left, front up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from normscan.figures.style import (
    FALSE_ALARM,
    HIT,
    IGNORED,
    TRUTH,
    new_figure,
    pack_tightly,
    styled,
)

_TILE = 1.55
_INK = "#f2f2f2"
_GROUND = "#000000"
# Draws a row's slice into axes, given the end of the maps' scale and whether they are signed.
Painter = Callable[[Any, Mapping[str, Any], float, bool], Any]


@styled
def slice_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str = "",
    map_limit: float | None = None,
    crop: bool = True,
    columns: Mapping[str, tuple[str, Painter]] | None = None,
) -> Figure:
    """One row per slice; columns that no row has are left out (no truth: a screening page).

    Parameters
    ----------
    rows : mappings with ``label`` (text beside the row), ``image`` (h, w), and as far as there
        are: ``reconstruction`` (h, w) on the image's scale, ``map`` (h, w) scores, signed or not,
        ``detection`` (h, w) mask, ``truth`` (h, w) mask of the lesions, ``ignored`` (h, w) mask
        of what counts on neither side; optional ``reconstruction_name`` (``restored``).
    map_limit : score at the end of the colour scale; default: 99.8th percentile of what is shown.
    crop : cut away the empty border that all rows have.
    columns : key of an array (h, w) in the rows -> what stands above it, and what draws it; default
        :data:`COLUMNS`.
    """
    known = columns or COLUMNS
    rows = _cropped(list(rows), set(known)) if crop else list(rows)
    columns_shown = [key for key in known if any(row.get(key) is not None for row in rows)]
    figure = _dark_figure(len(rows), len(columns_shown), bool(title), "truth" in columns_shown)
    panels = figure.subplots(max(1, len(rows)), max(1, len(columns_shown)), squeeze=False)
    limit = map_limit or _map_limit([row.get("map") for row in rows])
    signed = any(row.get("map") is not None and np.min(row["map"]) < 0 for row in rows)
    painted = None
    for place, row in enumerate(rows):
        for column, key in enumerate(columns_shown):
            axes = panels[place, column]
            _bare(axes)
            if row.get(key) is not None:
                drawn = known[key][1](axes, row, limit, signed)
                painted = drawn if key == "map" else painted
            if place == 0:
                name = row.get("reconstruction_name") if key == "reconstruction" else None
                axes.set_title(
                    name or known[key][0],
                    color=_INK,
                    fontsize=8.5,
                    loc="center",
                    fontweight="normal",
                )
        _row_label(panels[place, 0], str(row.get("label", "")))
    if painted is not None:
        _colour_bar(figure, panels, painted)
    _sides(panels[0, 0])
    _legend(figure, columns_shown, any(np.any(_ignored(row)) for row in rows))
    if title:
        figure.suptitle(title, color=_INK, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


@styled
def approach_rows(
    image: np.ndarray,
    results: Mapping[str, Mapping[str, np.ndarray | None]],
    *,
    truth: np.ndarray | None = None,
    ignored: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """One slice under several approaches: reconstructions above, anomaly maps below (Fig. 6).

    Parameters
    ----------
    image : (h, w) input.
    results : approach -> {"reconstruction": (h, w) or None, "map": (h, w)}. Every map has its own
        colour scale, since scores of different approaches cannot be compared.
    truth : (h, w) mask of the lesions, drawn as a contour.
    ignored : (h, w) mask of what counts on neither side, drawn as a contour of its own.
    """
    names = list(results)
    shown = {"image": image, "truth": truth, "ignored": ignored}
    given = [shown, *({"image": image, **results[n]} for n in names)]
    first, *cut = _cropped(given)
    image, truth, results = first["image"], first["truth"], dict(zip(names, cut))
    figure = _dark_figure(2, len(names) + 1, bool(title), False)
    panels = figure.subplots(2, len(names) + 1, squeeze=False)
    for axes in panels.ravel():
        _bare(axes)
    _paint_image(panels[0, 0], first)
    panels[0, 0].set_title("input", color=_INK, fontsize=8.5, loc="center", fontweight="normal")
    if truth is not None:
        _paint_truth(panels[1, 0], first)
        panels[1, 0].set_title(
            "lesions", color=_INK, fontsize=8.5, loc="center", fontweight="normal"
        )
    for column, name in enumerate(names, start=1):
        row = {"image": image, "truth": truth, **results[name]}
        panels[0, column].set_title(
            name, color=_INK, fontsize=8.5, loc="center", fontweight="normal"
        )
        if row.get("reconstruction") is not None:
            _paint_reconstruction(panels[0, column], row)
        if row.get("map") is not None:
            _paint_map(panels[1, column], row, _map_limit([row["map"]]), np.min(row["map"]) < 0)
    _sides(panels[0, 0])
    if title:
        figure.suptitle(title, color=_INK, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def _cropped(
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


def _dark_figure(rows: int, columns: int, title: bool, legend: bool) -> Figure:
    height = _TILE * max(1, rows) + 0.3 + 0.3 * title + 0.3 * legend
    figure = new_figure(_TILE * max(1, columns) + 1.0, height)
    figure.set_facecolor(_GROUND)
    pack_tightly(figure, 0.05)
    return figure


def _bare(axes) -> None:
    axes.set_facecolor(_GROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _row_label(axes, label: str) -> None:
    axes.set_ylabel(label, color=_INK, fontsize=8, rotation=0, ha="right", va="center", labelpad=6)


def _sides(axes) -> None:
    for place, side in ((0.02, "L"), (0.98, "R")):
        axes.text(place, 0.98, side, transform=axes.transAxes, color="#b9bdc6", fontsize=7,
                  ha="left" if side == "L" else "right", va="top")  # fmt: skip


def _grey_range(row: Mapping[str, Any]) -> tuple[float, float]:
    image = np.asarray(row["image"], float)
    inside = image[image > 0]
    top = np.percentile(inside, 99.5) if inside.size else 1.0
    return min(0.0, float(image.min())), float(top) or 1.0


def _grey(axes, values: np.ndarray, row: Mapping[str, Any], dim: float = 1.0):
    low, high = _grey_range(row)
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


def _paint_detection(axes, row, limit=None, signed=False):
    drawn = _grey(axes, row["image"], row, dim=0.75)
    detection = np.asarray(row["detection"]) > 0
    truth = np.zeros_like(detection) if row.get("truth") is None else np.asarray(row["truth"]) > 0
    hits = HIT if row.get("truth") is not None else FALSE_ALARM
    ignored = _ignored(row)
    false = detection & ~truth & ~ignored
    for mask, colour in (
        (detection & truth, hits),
        (false, FALSE_ALARM),
        (detection & ignored, IGNORED),
    ):
        _fill(axes, mask, colour)
    _contour(axes, ignored, IGNORED)
    _contour(axes, truth)
    return drawn


def _paint_truth(axes, row, limit=None, signed=False):
    drawn = _grey(axes, row["image"], row)
    _contour(axes, _ignored(row), IGNORED)
    _contour(axes, np.asarray(row["truth"]) > 0)
    return drawn


def _ignored(row) -> np.ndarray:
    found = row.get("ignored")
    return np.zeros(np.shape(row["image"]), bool) if found is None else np.asarray(found) > 0


def _fill(axes, mask: np.ndarray, colour: str) -> None:
    paint = np.zeros((*mask.T.shape, 4))
    paint[mask.T] = (*to_rgb(colour), 0.8)
    axes.imshow(paint, origin="lower")


def _contour(axes, mask: np.ndarray, colour: str = TRUTH) -> None:
    if mask.any():
        # A rim of zeros closes contours of lesions that touch the border.
        padded = np.pad(mask.T.astype(float), 1)
        x, y = (np.arange(size) - 1 for size in padded.shape[::-1])
        axes.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=0.9)
        axes.set_xlim(-0.5, mask.shape[0] - 0.5)
        axes.set_ylim(-0.5, mask.shape[1] - 0.5)


def _map_limit(maps: Sequence[np.ndarray | None]) -> float:
    shown = [np.abs(values).ravel() for values in maps if values is not None]
    if not shown:
        return 1.0
    values = np.concatenate(shown)
    values = values[values > 0]
    return float(np.percentile(values, 99.8)) if values.size else 1.0


def _colour_bar(figure: Figure, panels, painted) -> None:
    height = min(1.0, 1.8 / len(panels))
    bar = figure.colorbar(painted, ax=panels, fraction=0.03, pad=0.01, aspect=16, shrink=height)
    bar.set_label("anomaly score", color=_INK, fontsize=7)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_INK, labelsize=6.5, length=2)
    bar.ax.grid(False)


def _legend(figure: Figure, columns: Sequence[str], ignored: bool) -> None:
    if "truth" not in columns:
        return
    parts = [Line2D([], [], color=TRUTH, label="annotated lesion")]
    if "detection" in columns:
        parts = [Patch(color=HIT, label="detected, in a lesion"),
                 Patch(color=FALSE_ALARM, label="detected, outside"), *parts]  # fmt: skip
    parts += [Line2D([], [], color=IGNORED, label="other label, not counted")] * ignored
    figure.legend(handles=parts, loc="outside lower center", ncols=len(parts), labelcolor=_INK,
                  fontsize=7.5, facecolor=_GROUND)  # fmt: skip


COLUMNS: dict[str, tuple[str, Painter]] = {
    "image": ("input", _paint_image),
    "reconstruction": ("reconstruction", _paint_reconstruction),
    "map": ("anomaly map", _paint_map),
    "detection": ("detection", _paint_detection),
    "truth": ("lesions", _paint_truth),
}
