"""Do the settings of a plug-in go together, and with the slices? Asked when a run is planned.

What a single setting may be stands in ``ALLOWED``. What holds for several of them, or for one and
the side of the slices (``size``), a plug-in says as its literal ``TOGETHER``: expressions that must
be true, and what to say when one is not::

    TOGETHER = {"max(starts) <= times": "no start may be later than times"}

The setting that an expression names first is the one that is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from normscan.plugins import literals
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocol_approaches import Approach
from normscan.workflow.protocol_models import Model

SIZE = "size"
FUNCTIONS = {"len": len, "max": max, "min": min}


def together_problems(
    models: Mapping[str, Model],
    approaches: Mapping[str, Approach],
    size: int | None,
    known: list[str],
    where: str,
) -> list[str]:
    """Models and approaches whose settings exclude each other, in one line each.

    Parameters
    ----------
    size : side of the slices in pixels; None: not known, and nothing is said that depends on it.
    known : problems there are: a plug-in with a wrong setting is not asked for more.
    where : the configuration key of the protocol.
    """
    asked = [("models", name, model.family, model.settings) for name, model in models.items()]
    asked += [
        ("detectors", name, approach.detector, approach.settings)
        for name, approach in approaches.items()
    ]
    found = []
    for room, name, plugin, settings in asked:
        key = f"{where}.{'models' if room == 'models' else 'approaches'}.{name}"
        if any(line.startswith((f"{key}.", f"{key}:")) for line in known):
            continue
        rules = literals(LIBRARY / room / f"{plugin}.py").get("TOGETHER", {})
        found += broken(rules, settings, size, key)
    return found


def broken(
    rules: Mapping[str, str], settings: Mapping[str, Any], size: int | None, where: str
) -> Iterator[str]:
    """A line for every rule that checked settings break.

    Parameters
    ----------
    rules : ``TOGETHER`` of a plug-in.
    settings : all of its settings.
    size, where : side of the slices in pixels, or None; the key of the model or the approach.
    """
    for rule, words in rules.items():
        names = names_in(rule)
        if (size is None and SIZE in names) or holds(rule, {**settings, SIZE: size}):
            continue
        first, *others = (name for name in names if name in settings)
        beside = {name: settings[name] for name in others}
        if SIZE in names:
            beside["slices.size"] = size
        said = ", ".join(f"{name}: {value}" for name, value in beside.items())
        yield f"{where}.{first}: found {settings[first]!r}; {words}" + (f" ({said})" * bool(said))


def names_in(rule: str) -> list[str]:
    """Settings (and ``size``) that an expression names, in its order."""
    nodes = ast.walk(ast.parse(rule, mode="eval"))
    named = [node for node in nodes if isinstance(node, ast.Name) and node.id not in FUNCTIONS]
    return list(dict.fromkeys(node.id for node in sorted(named, key=lambda node: node.col_offset)))


def holds(rule: str, values: Mapping[str, Any]) -> bool:
    """Whether an expression of a plug-in, which is code like the rest of its file, is true."""
    return bool(eval(rule, {"__builtins__": FUNCTIONS}, dict(values)))
