"""Dice, or another score, of every patient: per approach, a panel per threshold rule or class."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from normscan.figures.labels import rule_label
from normscan.figures.looks import Look, Looks, with_plain
from normscan.figures.style import new_figure, styled

_ROOM = 0.34


@styled
def dice_distributions(
    values: Mapping[str, Mapping[str, np.ndarray]],
    *,
    measure: str = "Dice",
    title: str = "",
    looks: Looks | None = None,
) -> Figure:
    """A panel per threshold rule; per approach a box, a point per patient, and the mean.

    Parameters
    ----------
    values : threshold rule -> approach -> Dice per patient, in [0, 1].
        The rule ``oracle`` is marked as not reachable in practice.
    measure : what else the values are, if not the Dice; panels may then be anything.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    rules = list(values)
    names = list(dict.fromkeys(name for rule in rules for name in values[rule]))
    look = with_plain(names, looks)
    columns = 2 if len(rules) == 4 else min(len(rules), 3) or 1
    rows = -(-len(rules) // columns) or 1
    figure = new_figure(2.0 + 2.6 * columns, rows * (0.95 + 0.3 * max(1, len(names))))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(rules) :]:
        axes.set_visible(False)
    for axes, rule in zip(panels, rules):
        for place, name in enumerate(names):
            scores = np.asarray(values[rule].get(name, ()), float)
            distribution(axes, place, scores[np.isfinite(scores)], look[name])
        axes.set_title(textwrap.fill(rule_label(rule), 30), fontsize=8.5, fontweight="normal")
        axes.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.4, -0.6), xlabel=measure)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", visible=False)
        axes.tick_params(labelbottom=True)
    if title:
        figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def distribution(axes, place: int, scores: np.ndarray, look: Look) -> None:
    """A box, a point per patient, and the mean of an approach, in the row ``place``."""
    if not scores.size:
        return
    axes.boxplot(
        [scores], positions=[place], orientation="horizontal", widths=2 * _ROOM, showfliers=False,
        manage_ticks=False, patch_artist=True, medianprops={"color": "#222222", "linewidth": 1.4},
        boxprops={"facecolor": (*to_rgb(look.colour), 0.22), "edgecolor": look.colour},
        whiskerprops={"color": look.colour}, capprops={"color": look.colour},
    )  # fmt: skip
    axes.scatter(np.sort(scores), place + _spread(scores.size), s=11, color=look.colour,
                 edgecolor="white", linewidth=0.4, zorder=3)  # fmt: skip
    axes.scatter([scores.mean()], [place], marker="D", s=22, color="white", edgecolor="#222222",
                 linewidth=1, zorder=4)  # fmt: skip


def _spread(count: int) -> np.ndarray:
    """Offsets that look scattered and are the same every time (golden-ratio sequence)."""
    return ((np.arange(count) * 0.6180339887 + 0.5) % 1 - 0.5) * 1.3 * _ROOM
