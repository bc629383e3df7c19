"""One look for all figures: sizes, fonts, colours; saving that gives equal bytes when repeated."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

from normscan.files import atomic_path

matplotlib.use("Agg")

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe & Ito: told apart with every common colour vision deficiency.
BLACK, GREY = "#222222", "#6b6b6b"
SKY, BLUE, GREEN = "#56B4E9", "#0072B2", "#009E73"
ORANGE, VERMILLION, PURPLE = "#E69F00", "#D55E00", "#CC79A7"

NORMAL, ANOMALOUS = BLUE, VERMILLION
TRUTH, HIT, FALSE_ALARM, IGNORED = "#00E5FF", "#38D39F", "#FF8C1A", PURPLE

STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.fontsize": 8,
    "legend.frameon": True,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
    "svg.fonttype": "path",
    "svg.hashsalt": "normscan",
}


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw under the common style, without touching Matplotlib's global settings."""

    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        with rc_context(STYLE):
            return function(*arguments, **keywords)

    return wrapper


def new_figure(width: float, height: float, **options) -> Figure:
    """An empty figure (inches) that no global state knows; options as of ``Figure``."""
    figure = Figure(figsize=(width, height), layout=options.pop("layout", "constrained"), **options)
    FigureCanvasAgg(figure)
    return figure


def legend_height(usual: float, entries: int) -> float:
    """Height in inches of a figure whose legend beside it must not be cut off."""
    return max(usual, 0.6 + 0.175 * entries)


def pack_tightly(figure: Figure, pad: float) -> None:
    """Leave no more than ``pad`` inches around each panel of a figure of :func:`new_figure`."""
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=pad, h_pad=pad, wspace=0, hspace=0)


def save_figure(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Write ``stem.png`` and ``stem.svg``; equal figures give equal bytes (no time, no random id).

    Returns
    -------
    (path of the PNG, path of the SVG).
    """
    stem = Path(stem)
    paths = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    with rc_context(STYLE):
        with atomic_path(paths[0]) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})
        with atomic_path(paths[1]) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
    return paths
