"""Colour, line and marker of every approach: its model gives the colour, its detector the others.

Colours are those of a palette that is told apart with every common colour vision deficiency, and
lines and markers say the same once more. Families say which colour they prefer (``LOOK``),
detectors which line they are drawn with (``LINE``). All is counted through the whole protocol in
its order: an approach looks the same in all its figures, whichever others are drawn in each, and
what is added at the end of a protocol changes nothing before it.

Nobody tells twenty colours apart: a figure of more than :data:`MOST` approaches shows the best in
colour, the others in grey (:class:`Emphasis`).
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_rgb

from normscan.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#332288", "#661100")
# Preferred colours; the second and later models of a group, and any other group, take a free one.
GROUPS = {
    "autoencoder": SKY,
    "variational": BLUE,
    "mixture": PURPLE,
    "adversarial": VERMILLION,
    "constrained": ORANGE,
    "context": GREEN,
    "baseline": BLACK,
    "density": "#661100",
    "diffusion": "#332288",
}
# Once the palette is used up its colours come again, as unlike as they can be: hue (share of the
# circle), lightness, share of the saturation.
STEPS = (
    (0.0, 0.0, 1.0),
    (0.053, -0.145, 0.6),
    (0.026, 0.231, 0.6),
    (-0.044, 0.209, 1.0),
    (-0.02, -0.296, 1.0),
    (0.005, -0.094, 0.8),
)
PALEST, DARKEST = 0.78, 0.1
# So many approaches stand out in one figure, and the baselines; the others are muted.
MOST, MUTED = 8, "#b8b8b8"
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
    # What goes without a model has lines of its own: its colour is told apart anyway.
    detectors: dict[tuple[str, bool], list[str]] = {}
    colours: dict[str, str] = {}
    used: list[str] = []
    chosen: dict[str, Look] = {}
    named: dict[str, Look] = {}
    for one in approaches:
        if one["title"] not in chosen:
            lined = detectors.setdefault((one["line"], one["training_free"]), [])
            turn = _place(lined, one["detector"])
            model = _model(one)
            colour = colours.get(model) or _colour(one["look"], used)
            taken = set(chosen.values())
            if _drawn(colour, one["line"], turn).line in {
                look.line for look in taken if look.colour == colour
            }:
                # The same model and detector under other settings.
                colour = _colour(one["look"], used)
            colours.setdefault(model, colour)
            used += [colour] * (colour not in used)
            chosen[one["title"]] = _free(colour, one["line"], turn, taken)
            named.setdefault(one["name"], chosen[one["title"]])
    return named | chosen


def _model(one: Mapping[str, Any]) -> str:
    """What gives an approach its colour; baselines share theirs."""
    if one["training_free"]:
        return "" if one["look"] == "baseline" else f"without a model: {one['detector']}"
    return str(one["model"])


def _colour(group: str, used: list[str]) -> str:
    """The preferred colour of a group, or the next one that is free."""
    preferred = GROUPS.get(group)
    if preferred == BLACK or (preferred and preferred not in used):
        return preferred
    every = [shade(colour, step) for step in range(len(STEPS)) for colour in PALETTE]
    return next((colour for colour in every if colour not in used), every[len(used) % len(every)])


def _place(names: list[str], name: str) -> int:
    """Which of several a name is; a new one is the next."""
    if name not in names:
        names.append(name)
    return names.index(name)


def _drawn(colour: str, line: str, turn: int, marker: str = "") -> Look:
    """A colour with the line and the marker of a detector, the ``turn``-th that has that line."""
    kinds = LINES.get(line, LINES["solid"])
    marks = MARKERS.get(line, MARKERS["solid"])
    return Look(colour, kinds[turn % len(kinds)], marker or marks[turn % len(marks)])


def _free(colour: str, line: str, turn: int, taken: set[Look]) -> Look:
    """The look of a model and a detector; for what both share with another, the next marker."""
    looks = [_drawn(colour, line, turn, marker) for marker in ("", *REPEATS)]
    return next((look for look in looks if look not in taken), looks[-1])


def shade(colour: str, step: int) -> str:
    """One of the steps of a colour, about of its hue; after the last comes the first again."""
    if step % len(STEPS) == 0:
        return colour
    turn, lighter, share = STEPS[step % len(STEPS)]
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    lightness = min(max(PALEST, lightness), max(DARKEST, lightness + lighter))
    parts = colorsys.hls_to_rgb((hue + turn) % 1, lightness, saturation * share)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


class Emphasis:
    """Which approaches stand out in one figure, and how each is drawn and named there.

    Parameters
    ----------
    worth : approach -> how good it is; NaN is worst.
    given : of :func:`looks`; approaches without one are plain.
    """

    def __init__(self, worth: Mapping[str, float], given: Looks | None = None):
        self.looks = with_plain(worth, given)
        best = sorted(
            worth, key=lambda name: -(worth[name] if worth[name] == worth[name] else -1e9)
        )
        # All of them, while there are hardly more than stand out.
        count = MOST if len(best) > MOST + 1 else len(best)
        self.top = [
            name for place, name in enumerate(best) if place < count or self._baseline(name)
        ]
        self.others = [name for name in best if name not in self.top]
        if self.others:
            self._distinguish()
        for name in self.others:
            self.looks[name] = Look(MUTED, "-", "")

    def _baseline(self, name: str) -> bool:
        return self.looks[name].colour == BLACK

    def _distinguish(self) -> None:
        """Shades of one colour do not stand beside each other while a colour is free."""
        taken = {self.looks[name].colour for name in self.top}
        free = [colour for colour in PALETTE if colour not in taken]
        for name in self.top:
            if free and self.looks[name].colour not in (*PALETTE, BLACK):
                look = self.looks[name]
                self.looks[name] = Look(free.pop(0), look.line, look.marker)

    def label(self, name: str, text: str = "") -> str:
        """What a legend calls an approach (``text``, if not its name); one line for all others."""
        return text or name if name in self.top else f"{len(self.others)} others"

    def order(self) -> list[str]:
        """In which order to draw: others first, the best last."""
        return [*self.others[::-1], *self.top[::-1]]

    @property
    def lines(self) -> int:
        """How many lines a legend has."""
        return len(self.top) + bool(self.others)


def with_plain(names: Iterable[str], given: Looks | None = None) -> dict[str, Look]:
    """Looks of all names: those that are given, and a plain line of its own colour for others."""
    chosen = dict(given or {})
    used = {look.colour for look in chosen.values()}
    for name in dict.fromkeys(names):
        if name not in chosen:
            first = hashlib.sha256(name.encode()).digest()[0]
            order = [PALETTE[(first + turn) % len(PALETTE)] for turn in range(len(PALETTE))]
            colour = next((one for one in order if one not in used), order[0])
            chosen[name] = Look(colour, "-", "o")
            used.add(colour)
    return chosen
