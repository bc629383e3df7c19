"""Boxes around detections and around lesions, drawn on slices (Chatterjee et al. 2022, Figs. 6, 7).

The stages of a detection stand beside, since both are rows of slices with columns of their own
(Figs. 9 to 11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import ndimage

from normscan.evaluation.boxes import bounding_boxes
from normscan.figures.orientation import NEUROLOGICAL
from normscan.figures.slices import COLUMNS, Painter, slice_rows
from normscan.figures.style import FALSE_ALARM, TRUTH, styled


@styled
def box_rows(
    rows: Sequence[Mapping[str, Any]], *, title: str = "", orientation: str = NEUROLOGICAL
) -> Figure:
    """Rows of slices with boxes around detections and around lesions.

    A box is that of a piece of this slice: a component that another slice joins has two.

    Parameters
    ----------
    rows : as of ``slice_rows``, with ``image``, ``detection`` and ``truth``.
    """
    # A column is drawn where its key is in the rows: one image each.
    shown = [{**row, "found": row.get("image"), "true": row.get("image")} for row in rows]
    return slice_rows(shown, title=title, columns=_BOXES, orientation=orientation)


@styled
def stage_rows(
    rows: Sequence[Mapping[str, Any]], *, title: str = "", orientation: str = NEUROLOGICAL
) -> Figure:
    """Rows of slices through the stages of a detection.

    Parameters
    ----------
    rows : as of ``slice_rows``, with ``thresholded``, a mask (h, w) before small pieces are
        dropped; ``detection`` is what is left.
    """
    return slice_rows(rows, title=title, columns=_STAGES, orientation=orientation)


def _boxes(axes, mask: np.ndarray, colour: str, dashed: bool) -> None:
    # As lesions are joined in 3D: pixels that share a corner belong together.
    labels, _ = ndimage.label(np.asarray(mask) > 0, np.ones((3, 3), int))
    for (left, right), (low, high) in bounding_boxes(labels):
        axes.add_patch(
            Rectangle(
                (left - 0.5, low - 0.5), right - left, high - low, fill=False, edgecolor=colour,
                linewidth=1.1, linestyle="--" if dashed else "-",
            )
        )  # fmt: skip


def _paint_found(axes, row, limit, signed):
    drawn = COLUMNS["image"][1](axes, row, limit, signed)
    _boxes(axes, row["detection"], FALSE_ALARM, dashed=False)
    return drawn


def _paint_both(axes, row, limit, signed):
    drawn = _paint_found(axes, row, limit, signed)
    _boxes(axes, row["truth"], TRUTH, dashed=True)
    return drawn


def _paint_thresholded(axes, row, limit, signed):
    return COLUMNS["detection"][1](axes, {**row, "detection": row["thresholded"]}, limit, signed)


_BOXES: dict[str, tuple[str, Painter]] = {
    "image": ("input", COLUMNS["image"][1]),
    "found": ("detected", _paint_found),
    "true": ("detected, and true (dashed)", _paint_both),
}
_STAGES: dict[str, tuple[str, Painter]] = {
    "image": COLUMNS["image"],
    "reconstruction": COLUMNS["reconstruction"],
    "map": COLUMNS["map"],
    "thresholded": ("thresholded", _paint_thresholded),
    "detection": ("opened", COLUMNS["detection"][1]),
    "truth": COLUMNS["truth"],
}
