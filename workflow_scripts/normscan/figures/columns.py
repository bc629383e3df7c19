"""Patients side by side: a column each, with detections at several thresholds below each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from normscan.figures.dark import INK, bare, colour_bar, dark_figure, row_label, sides
from normscan.figures.orientation import NEUROLOGICAL, orient
from normscan.figures.slices import COLUMNS, cropped, ignored_of, legend, scale_end
from normscan.figures.style import styled

# Inches.
NARROWEST = 5.6


@styled
def patient_columns(
    columns: Sequence[Mapping[str, Any]],
    rules: Mapping[str, str],
    *,
    reconstruction: str = "",
    title: str = "",
    orientation: str = NEUROLOGICAL,
) -> Figure:
    """Rows: input, reconstruction, map, detections at each threshold, lesions.

    Parameters
    ----------
    columns : a patient each, as rows of :func:`normscan.figures.slices.slice_rows`, and
        ``detections`` (rule -> (h, w) mask).
    rules : rule -> its name, in the order of the rows.
    reconstruction : what a reconstruction is called (``restored``); "": that.
    orientation : of ``figures.orientation``.
    """
    shown = [_cropped(one) for one in columns]
    kinds = [k for k in ("image", "reconstruction", "map") if any(k in one for one in shown)]
    rows = [*kinds, *rules, "truth"]
    figure = dark_figure(len(rows), len(shown), bool(title), True)
    # Room for the names of the rows, and for the legend.
    width, height = figure.get_size_inches()
    figure.set_size_inches(max(width + 0.6, NARROWEST), height)
    panels = figure.subplots(len(rows), max(1, len(shown)), squeeze=False)
    limit = scale_end([one.get("map") for one in shown])
    signed = any("map" in one and one["map"].min() < 0 for one in shown)
    painted = None
    for place, row in enumerate(rows):
        for number, one in enumerate(shown):
            axes = panels[place, number]
            bare(axes)
            kind = "detection" if row in rules else row
            own = one | {"detection": one["detections"][row]} if row in rules else one
            if own.get(kind) is not None:
                drawn = COLUMNS[kind][1](axes, own, limit, signed)
                painted = drawn if kind == "map" else painted
            if not place:
                axes.set_title(one["label"], color=INK, fontsize=7.5, loc="center")
        names = {key: name for key, (name, _) in COLUMNS.items()} | dict(rules)
        names |= {"reconstruction": reconstruction} if reconstruction else {}
        row_label(panels[place, 0], _wrapped(names[row]))
    for axes in panels.ravel():
        orient(axes, orientation)
    if painted is not None:
        colour_bar(figure, panels, painted, "anomaly score")
    sides(panels[0, 0], orientation)
    ignored = any(ignored_of(one).any() for one in shown)
    legend(figure, ["detection", "truth"], ignored)
    if title:
        figure.suptitle(title, color=INK, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def _cropped(one: Mapping[str, Any]) -> dict[str, Any]:
    """A column cut to its own brain, the detections with it (as rows of one image are)."""
    rows = [one] + [{"image": one["image"], "truth": mask} for mask in one["detections"].values()]
    first, *cut = cropped(rows)
    masks = {rule: row["truth"] for rule, row in zip(one["detections"], cut)}
    return {key: first[key] for key in one} | {"detections": masks}


def _wrapped(text: str, width: int = 14) -> str:
    """Words over several lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
