"""One look for all figures: sizes, fonts, colours; saving that gives equal bytes when repeated."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from normscan.files import atomic_path

matplotlib.use("Agg")

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
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

# Families by words in the name of a model or approach; the first match counts.
_FAMILIES = (
    (r"intensity", BLACK),
    (r"gmvae", PURPLE),
    (r"gan", VERMILLION),
    (r"aae|constrained", ORANGE),
    (r"context|cevae|cae\b", GREEN),
    (r"vae", BLUE),
    (r"ae", SKY),
)
_OTHERS = ("#332288", "#882255", "#44AA99", "#999933", "#AA4499", "#117733", "#661100", "#6699CC")
_DETECTORS = (
    (r"restor", "--", "s"),
    (r"monte|bayes|\bmc\b", ":", "^"),
    (r"gradient", "-.", "D"),
)
_VARIANT_LINES = ((0, (5, 1, 1, 1)), (0, (3, 2)), (0, (1, 1)))


@dataclass(frozen=True)
class Look:
    """How one approach is drawn in every figure."""

    colour: str
    line: str | tuple
    marker: str


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


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Colour by model family, line and marker by detector, for each approach.

    The words of a name decide (``VAE (restoration)`` and ``vae_restoration`` look alike), so an
    approach keeps its colour whichever others stand beside it. Approaches that would look the
    same are told apart by shade and line, in the order of their names.
    """
    names = list(dict.fromkeys(names))
    taken: dict[Look, int] = {}
    chosen = {}
    for name in sorted(names):
        look = _look(name)
        repeat = taken[look] = taken.get(look, -1) + 1
        if repeat:
            line = _VARIANT_LINES[(repeat - 1) % len(_VARIANT_LINES)]
            marker = "vP*X<>"[(repeat - 1) % 6]
            look = Look(_shade(look.colour, -0.3 * (1 + repeat // 3)), line, marker)
        chosen[name] = look
    return {name: chosen[name] for name in names}


def _look(name: str) -> Look:
    words = name.lower()
    colour = next((colour for pattern, colour in _FAMILIES if re.search(pattern, words)), None)
    if colour is None:
        colour = _OTHERS[hashlib.sha256(words.encode()).digest()[0] % len(_OTHERS)]
    if "spatial" in words:
        colour = _shade(colour, 0.35)
    line, marker = next(
        ((line, marker) for pattern, line, marker in _DETECTORS if re.search(pattern, words)),
        ("-", "o"),
    )
    return Look(colour, line, marker)


def _shade(colour: str, amount: float) -> str:
    """Lighter (amount > 0) or darker (< 0)."""
    towards, share = (1.0, amount) if amount > 0 else (0.0, min(-amount, 0.8))
    parts = [round(255 * (part + (towards - part) * share)) for part in to_rgb(colour)]
    return "#" + "".join(f"{part:02x}" for part in parts)
