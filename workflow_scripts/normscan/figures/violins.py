"""Dice of every patient as violins, an approach each (Chatterjee et al. 2022, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.looks import Looks, with_plain
from normscan.figures.style import BLACK, new_figure, styled


@styled
def dice_violins(
    values: Mapping[str, np.ndarray], *, title: str = "", looks: Looks | None = None
) -> Figure:
    """A violin per approach: white dot the median, thick bar the quartiles, thin line the whiskers.

    Whiskers reach to the last patient within one and a half interquartile ranges; the body to all
    patients. Few patients make a smooth body out of little, so every one is a point beside.

    Parameters
    ----------
    values : approach -> Dice per patient, in [0, 1]; approaches without any are left out.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    scores = {name: np.asarray(one, float) for name, one in values.items()}
    scores = {name: one[np.isfinite(one)] for name, one in scores.items()}
    scores = {name: one for name, one in scores.items() if one.size}
    look = with_plain(list(scores), looks)
    figure = new_figure(1.6 + 0.95 * max(1, len(scores)), 3.8)
    axes = figure.add_subplot()
    for place, (name, one) in enumerate(scores.items()):
        _violin(axes, place, one, look[name].colour)
    axes.set_xticks(range(len(scores)), list(scores), rotation=35, ha="right")
    axes.set(ylim=(-0.02, 1.02), xlim=(-0.6, max(1, len(scores)) - 0.4), ylabel="Dice per patient")
    axes.grid(axis="x", visible=False)
    axes.set_title(title)
    return figure


def _violin(axes, place: int, scores: np.ndarray, colour: str) -> None:
    # One value, or equal ones, have no density.
    if np.ptp(scores) > 0:
        parts = axes.violinplot([scores], positions=[place], widths=0.8, showextrema=False)
        (body,) = parts["bodies"]
    else:
        body = axes.fill_betweenx([scores[0] - 0.004, scores[0] + 0.004], place - 0.3, place + 0.3)
    body.set(facecolor=colour, edgecolor=colour, alpha=0.45, label="violin")
    low, middle, high = np.percentile(scores, [25, 50, 75])
    reach = 1.5 * (high - low)
    within = scores[(scores >= low - reach) & (scores <= high + reach)]
    axes.vlines(place, within.min(), within.max(), color=BLACK, linewidth=1)
    axes.vlines(place, low, high, color=BLACK, linewidth=5)
    axes.scatter([place] * scores.size, scores, s=6, color=colour, edgecolor="none", zorder=2.5)
    axes.scatter(
        [place], [middle], s=20, color="white", edgecolor=BLACK, linewidth=0.6, zorder=4,
        label="median",
    )  # fmt: skip
