"""Figures on a black ground: panels without axes, labels, colour bars."""

from __future__ import annotations

from itertools import chain
from textwrap import wrap

from matplotlib.figure import Figure

from normscan.figures.orientation import NEUROLOGICAL, sides_of
from normscan.figures.style import new_figure, pack_tightly

TILE = 1.55
# Letters in a line of a row's label.
LABEL = 20
INK = "#f2f2f2"
GROUND = "#000000"


def dark_figure(rows: int, columns: int, title: bool, legend: bool, bars: int = 1) -> Figure:
    """An empty figure for so many panels, with room for a title, a legend below and bars."""
    height = TILE * max(1, rows) + 0.3 + 0.3 * title + 0.3 * legend
    figure = new_figure(TILE * max(1, columns) + 1.4 + 1.0 * max(0, bars - 1), height)
    figure.set_facecolor(GROUND)
    pack_tightly(figure, 0.05)
    return figure


def bare(axes) -> None:
    """A panel without axes and frame."""
    axes.set_facecolor(GROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def row_label(axes, label: str) -> None:
    """Text to the left of a row's first panel; a long one in several lines, as panels need room."""
    lines = [wrap(line, LABEL, break_long_words=False) or [""] for line in label.split("\n")]
    label = "\n".join(chain.from_iterable(lines))
    axes.set_ylabel(label, color=INK, fontsize=8, rotation=0, ha="right", va="center", labelpad=6)


def sides(axes, orientation: str = NEUROLOGICAL) -> None:
    """L and R, the patient's, in the upper corners."""
    left, right = sides_of(orientation)
    for place, side, align in ((0.02, left, "left"), (0.98, right, "right")):
        axes.text(place, 0.98, side, transform=axes.transAxes, color="#b9bdc6", fontsize=7,
                  ha=align, va="top")  # fmt: skip


def colour_bar(figure: Figure, panels, painted, label: str) -> None:
    """A bar beside all panels."""
    height = min(1.0, 1.8 / len(panels))
    bar = figure.colorbar(painted, ax=panels, fraction=0.03, pad=0.01, aspect=16, shrink=height)
    bar.set_label(label, color=INK, fontsize=7)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=6.5, length=2)
    bar.ax.grid(False)


def small_bar(axes, painted) -> None:
    """A bar of its own at the foot of one panel, with its ends named."""
    place = axes.inset_axes((0.12, -0.06, 0.76, 0.035))
    bar = axes.figure.colorbar(painted, cax=place, orientation="horizontal")
    low, high = painted.get_clim()
    bar.set_ticks([low, high], labels=[f"{low:.2g}", f"{high:.2g}"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=6, length=0, pad=1.5)
    bar.ax.grid(False)
