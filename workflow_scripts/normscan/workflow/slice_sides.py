"""Do slices have a side that models and their networks take? Asked when a run is planned.

Networks and families say it as their literal ``SIDE``:

==============================  =================================================
``"multiple of 16"``            a number
``"multiple of 2 ** depth"``    two to the power of a setting of the model
``"multiple of patch"``         a setting of the model; none where it is None
``"8 times a power of two"``    from 2 on: 16, 32, 64, ...
==============================  =================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from normscan.plugins import literals
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocol_models import Model

POWERS = re.compile(r"(\d+) times a power of two")
MULTIPLES = re.compile(r"multiple of (2 \*\* )?(\w+)")


def side_problems(models: Mapping[str, Model], size: Any, where: str) -> list[str]:
    """Models that slices of ``size`` pixels a side do not fit, in one line each.

    Parameters
    ----------
    models : by name, with checked settings.
    where : the configuration key of the protocol.
    """
    if not isinstance(size, int):
        return []
    found = []
    for name, model in models.items():
        side = model.settings.get("resolution") or size
        for room, plugin in (("networks", model.settings.get("network")), ("models", model.family)):
            path = LIBRARY / room / f"{plugin}.py"
            words = literals(path).get("SIDE", "") if path.is_file() else ""
            if wanted := unfit(side, words, model.settings):
                key = "slices.size" if side == size else f"models.{name}.resolution"
                what = f"network {plugin}" if room == "networks" else f"family {plugin}"
                found.append(
                    f"{where}.{key}: found {side}; {what} of model '{name}' takes {wanted}"
                )
    return found


def unfit(side: int, words: str, settings: Mapping[str, Any]) -> str:
    """What a plug-in takes instead of a side, in words; empty when it takes it.

    Parameters
    ----------
    words : its ``SIDE``; empty: it takes all.
    settings : of the model.

    Raises
    ------
    ValueError : ``words`` are none of those above.
    """
    if not words:
        return ""
    if of := POWERS.fullmatch(words):
        times, rest = divmod(side, int(of[1]))
        fits = not rest and times > 1 and not times & (times - 1)
        return "" if fits else words
    of = MULTIPLES.fullmatch(words)
    if not of:
        raise ValueError(f"'{words}' says no side; see normscan.workflow.slice_sides")
    number = int(of[2]) if of[2].isdigit() else settings.get(of[2])
    if not isinstance(number, int) or number < 1:
        return ""
    # (No slice is of a side beyond this power, whose digits could not all be said.)
    number = 2 ** min(number, 64) if of[1] else number
    said = "" if of[2].isdigit() else f", as {of[2]} is {settings[of[2]]}"
    return f"multiples of {number}{said}" if side % number else ""
