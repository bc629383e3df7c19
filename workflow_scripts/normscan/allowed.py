"""Ranges in which a plug-in's settings must lie, as the words of its literal ``ALLOWED``.

=====================  ============================================================
``"1.."``              a number of at least 1; ``"..1"`` at most 1
``"0..1"``             between both, which are included
``">0..<1"``           ``<`` and ``>`` leave the bound itself out
``"whole 1.."``        an integer, where the default (None) does not say so
``["auto", "0.."]``    one of these words, or in one of these ranges
``"each 0.."``         a list of at least one, each in the range
``{"T1w": "0.."}``     a mapping of any of these keys, each value in its range
=====================  ============================================================

Numbers are finite. A setting whose default is None may be None, no other. A protocol puts its
contrasts in the place of the entry, or the key, ``"a contrast"``.
"""

from __future__ import annotations

import difflib
import math
import re
from functools import cache
from typing import Any, NamedTuple

BETWEEN = ".."
EACH, WHOLE = "each ", "whole "
RANGE = re.compile(r"(>?)([-+.\de]*?)\.\.(<?)([-+.\de]*)")


class Range(NamedTuple):
    """Numbers between two bounds, infinite where there is none."""

    low: float
    high: float
    above: bool
    below: bool
    whole: bool

    def holds(self, value: Any) -> bool:
        """Whether a value is a number inside."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if not math.isfinite(value) or (self.whole and not isinstance(value, int)):
            return False
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    def words(self) -> str:
        """What it holds, in words."""
        bounds = []
        if math.isfinite(self.low):
            bounds.append(f"{'above' if self.above else 'at least'} {self.low:g}")
        if math.isfinite(self.high):
            bounds.append(f"{'below' if self.below else 'at most'} {self.high:g}")
        of = " " if bounds and bounds[0].startswith(("above", "below")) else " of "
        kind = "a whole number" if self.whole else "a number"
        return kind + (of + " and ".join(bounds) if bounds else "")


@cache
def parse_range(text: str) -> Range:
    """A range as it is written; ValueError when it is none."""
    whole, found = text.startswith(WHOLE), RANGE.fullmatch(text.removeprefix(WHOLE))
    if not found:
        raise ValueError(f"'{text}' is no range; write for example '0..1', '>0..' or '..<1'")
    above, low, below, high = found.groups()
    bounds = float(low or -math.inf), float(high or math.inf)
    if (above and not low) or (below and not high) or not bounds[0] <= bounds[1]:
        raise ValueError(f"'{text}' is no range; its bounds are missing or the wrong way round")
    return Range(*bounds, bool(above), bool(below), whole)


def is_allowed(value: Any, allowed: str | list | dict) -> bool:
    """Whether a value is what an entry of ``ALLOWED`` says."""
    if isinstance(allowed, dict):
        return isinstance(value, dict) and all(
            key in allowed and is_allowed(one, allowed[key]) for key, one in value.items()
        )
    if isinstance(allowed, str) and allowed.startswith(EACH):
        inner = allowed.removeprefix(EACH)
        return isinstance(value, list) and bool(value) and all(is_allowed(v, inner) for v in value)
    choices = [allowed] if isinstance(allowed, str) else allowed
    ranges = [one for one in choices if BETWEEN in one]
    words = [one for one in choices if BETWEEN not in one]
    if isinstance(value, str):
        return value in words
    return any(parse_range(one).holds(value) for one in ranges)


def in_words(value: Any, allowed: str | list | dict) -> str:
    """How a refused value goes on: ``; allowed: bright, dark``, ``; must be a number above 0``."""
    if isinstance(allowed, dict):
        pairs = [f"{key}: {parse_range(one).words()}" for key, one in allowed.items()]
        return f"; must be a mapping of any of {{{', '.join(pairs)}}}"
    if isinstance(allowed, str) and allowed.startswith(EACH):
        inner = parse_range(allowed.removeprefix(EACH)).words()
        return f"; must be a list of at least one, each {inner}"
    choices = [allowed] if isinstance(allowed, str) else allowed
    words = [one for one in choices if BETWEEN not in one]
    ranges = [parse_range(one).words() for one in choices if BETWEEN in one]
    near = difflib.get_close_matches(str(value), words, n=1, cutoff=0.5)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    if not ranges:
        return f"{hint}; allowed: {', '.join(words)}"
    return f"{hint}; must be {' or '.join([*(repr(one) for one in words), *ranges])}"
