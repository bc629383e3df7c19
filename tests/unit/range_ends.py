"""The words and the outermost numbers that a plug-in says a setting may be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from normscan.allowed import BETWEEN, EACH, parse_range
from normscan.plugins import literals

NEAR = 1e-3


def settings_at_ends(path) -> Iterator[tuple[str, Any]]:
    """Every setting of a plug-in's file with each word, and each end of its ranges."""
    said = literals(path)
    for key, allowed in said.get("ALLOWED", {}).items():
        for value in ends(allowed, said["SETTINGS"][key]):
            yield key, value


def ends(allowed: str | list | dict, default: Any) -> Iterator[Any]:
    """Words, and ends of ranges; beside an end that is left out, a number that is not."""
    if isinstance(allowed, dict):
        return
    each = isinstance(allowed, str) and allowed.startswith(EACH)
    choices = [allowed.removeprefix(EACH)] if isinstance(allowed, str) else allowed
    for one in choices:
        found = _of_range(one, default) if BETWEEN in one else [one]
        yield from ([value] if each else value for value in found)


def _of_range(text: str, default: Any) -> Iterator[float]:
    allowed = parse_range(text)
    whole = allowed.whole or type(default) is int
    for end, left_out, inwards in (
        (allowed.low, allowed.above, 1),
        (allowed.high, allowed.below, -1),
    ):
        if math.isfinite(end):
            value = end + inwards * (1 if whole else NEAR) if left_out else end
            yield int(value) if whole else value
