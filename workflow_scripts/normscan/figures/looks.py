"""Colour, line and marker of every approach: its model gives the colour, its detector the others.

Families say to which colour group they belong (``LOOK``), detectors which line they are drawn with
(``LINE``). Models of one group are steps of its colour, detectors of one line have dashes and
markers of their own. Steps are counted through the whole protocol in its order: an approach looks
the same in all its figures, whichever others are drawn in each, and what is added at the end of a
protocol changes nothing before it.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_rgb

from normscan.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

# Okabe & Ito for the groups of most models, colours of Tol for the others.
GROUPS = {
    "autoencoder": SKY,
    "variational": BLUE,
    "mixture": PURPLE,
    "adversarial": VERMILLION,
    "constrained": ORANGE,
    "context": GREEN,
    "baseline": BLACK,
    "denoising": "#44AA99",
    "diffusion": "#882255",
    "supervised": "#117733",
    "density": "#999933",
    "synthesis": "#332288",
    "features": "#AA4499",
}
# For any other group, by its name.
OTHERS = ("#332288", "#882255", "#44AA99", "#999933", "#AA4499", "#117733", "#661100", "#6699CC")
# Of the members of a group, against its colour: hue (share of the circle), lightness, share of the
# saturation. Searched so that six members of all groups are as unlike as they can be.
STEPS = (
    (0.0, 0.0, 1.0),
    (0.053, -0.145, 0.6),
    (0.026, 0.231, 0.6),
    (-0.044, 0.209, 1.0),
    (-0.02, -0.296, 1.0),
    (0.005, -0.094, 0.8),
)
PALEST, DARKEST = 0.78, 0.1
LINES: dict[str, tuple[str | tuple, ...]] = {
    "solid": ("-", (0, (12, 1.5)), (0, (16, 1.5, 2, 1.5))),
    "dashed": ("--", (0, (7, 3)), (0, (2.5, 1.5))),
    "dotted": (":", (0, (1, 2.5)), (0, (2, 1, 1, 1))),
    "dashdot": ("-.", (0, (8, 2, 2, 2)), (0, (4, 1, 1, 1, 1, 1))),
}
MARKERS = {"solid": "oP8p", "dashed": "sXhd", "dotted": "^v<>", "dashdot": "D*1+"}
# Of approaches that only settings tell apart: the same model, the same detector.
REPEATS = "4x23|_"


@dataclass(frozen=True)
class Look:
    """How one approach is drawn in every figure."""

    colour: str
    line: str | tuple
    marker: str


Looks = Mapping[str, Look]


def looks(approaches: Iterable[Mapping[str, Any]]) -> dict[str, Look]:
    """Looks of a protocol's approaches.

    Parameters
    ----------
    approaches : in the order of the protocol: ``title``, ``name`` (title without the share of the
        subjects), ``model``, ``look``, ``detector``, ``line``, ``training_free``.

    Returns
    -------
    title -> look; also by name, where no approach has that title.
    """
    members: dict[str, list[str]] = {}
    # What goes without a model has lines of its own: its colour is told apart anyway.
    detectors: dict[tuple[str, bool], list[str]] = {}
    chosen: dict[str, Look] = {}
    named: dict[str, Look] = {}
    for one in approaches:
        if one["title"] not in chosen:
            own = one["detector"] if one["training_free"] else one["model"]
            step = _place(members.setdefault(one["look"], []), own)
            lined = detectors.setdefault((one["line"], one["training_free"]), [])
            turn = _place(lined, one["detector"])
            look = _free(one["look"], step, one["line"], turn, set(chosen.values()))
            chosen[one["title"]] = look
            named.setdefault(one["name"], look)
    return named | chosen


def _place(names: list[str], name: str) -> int:
    """Which of several a name is; a new one is the next."""
    if name not in names:
        names.append(name)
    return names.index(name)


def _free(group: str, step: int, line: str, turn: int, taken: set[Look]) -> Look:
    """The look of a model and a detector; for what both share with another, the next marker."""
    colour = shade(group_colour(group), step)
    line = line if line in LINES else "solid"
    kind, marks = LINES[line], MARKERS[line]
    for marker in (marks[turn % len(marks)], *REPEATS):
        look = Look(colour, kind[turn % len(kind)], marker)
        if look not in taken:
            return look
    return look


def group_colour(group: str) -> str:
    """Colour of a group; of one that is not in :data:`GROUPS` by its name, always the same."""
    return GROUPS.get(group) or OTHERS[hashlib.sha256(group.encode()).digest()[0] % len(OTHERS)]


def shade(colour: str, step: int) -> str:
    """One of the steps of a colour, about of its hue; after the last comes the first again."""
    turn, lighter, share = STEPS[step % len(STEPS)]
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    lightness = min(max(PALEST, lightness), max(DARKEST, lightness + lighter))
    parts = colorsys.hls_to_rgb((hue + turn) % 1, lightness, saturation * share)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def with_plain(names: Iterable[str], given: Looks | None = None) -> dict[str, Look]:
    """Looks of all names: those that are given, and a plain line of its own colour for others."""
    chosen = dict(given or {})
    used = {look.colour for look in chosen.values()}
    for name in dict.fromkeys(names):
        if name not in chosen:
            first = hashlib.sha256(name.encode()).digest()[0]
            order = [OTHERS[(first + turn) % len(OTHERS)] for turn in range(len(OTHERS))]
            colour = next((one for one in order if one not in used), order[0])
            chosen[name] = Look(colour, "-", "o")
            used.add(colour)
    return chosen
