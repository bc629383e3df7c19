"""Plug-ins (steps, models, detectors) described by the literal constants of their files.

A plug-in's file says what it can do and which settings it takes in constants such as
``SETTINGS = {"steps": 500}``. They are read from the syntax tree, so that the workflow is planned
without importing torch, and without one plug-in's code counting for another's results.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from normscan.allowed import in_words, is_allowed
from normscan.errors import ConfigError


def plugin_names(folder: Path, constant: str) -> list[str]:
    """Names of the modules in ``folder`` that define ``constant``, in alphabetical order."""
    return [path.stem for path in sorted(folder.glob("*.py")) if constant in literals(path)]


def literals(path: Path) -> dict[str, Any]:
    """Upper-case constants with literal values at the top of a module."""
    return _literals(path, path.stat().st_mtime_ns, path.stat().st_size)


@cache
def _literals(path: Path, mtime: int, size: int) -> dict[str, Any]:
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                try:
                    found[target.id] = ast.literal_eval(value)
                except ValueError:
                    continue
    return found


def complete_settings(
    given: dict[str, Any], defaults: dict[str, Any], allowed: dict[str, Any], where: str
) -> tuple[dict[str, Any], list[str]]:
    """``defaults`` overwritten by ``given``, and every problem of the result.

    Parameters
    ----------
    given : settings as written by the user.
    defaults : every known setting with its default; a default of None accepts None.
    allowed : setting -> words and ranges as of :mod:`normscan.allowed`; what has no entry is
        checked for its type only.
    where : the configuration key that problems are reported under.

    Returns
    -------
    settings, problems : problems name the key, what was found and what is allowed.
    """
    problems = []
    for key in given:
        if key not in defaults:
            problems.append(unknown_setting(f"{where}.{key}", key, defaults))
    settings = {**defaults, **{key: given[key] for key in given if key in defaults}}
    for key, value in settings.items():
        problem = _problem(value, defaults[key], allowed.get(key))
        if problem:
            default = "" if key in given else " (the default)"
            problems.append(f"{where}.{key}: found {value!r}{default}{problem}")
    return settings, problems


def unknown_setting(where: str, key: str, known: Iterable[str]) -> str:
    """The line for a key that is no setting; ``where`` ends in it."""
    names = ", ".join(sorted(known)) or "no settings"
    return f"{where}: unknown key{_nearest(key, known)}; allowed: {names}"


def _problem(value: Any, default: Any, allowed: str | list | dict | None) -> str:
    """What is wrong with a value of a setting, to go after "found"; empty when nothing is."""
    if value is None and default is None:
        return ""
    if allowed is not None and not is_allowed(value, allowed):
        return in_words(value, allowed)
    if not _same_kind(value, default):
        return f"; must be of type {type(default).__name__} like the default {default!r}"
    return ""


def require_known(name: str, known: Iterable[str], what: str, where: str) -> None:
    """Raise ConfigError when ``name`` is not among ``known``, naming the nearest."""
    known = list(known)
    if name not in known:
        raise ConfigError(
            f"{where}: unknown {what} '{name}'{_nearest(name, known)}; "
            f"allowed: {', '.join(known) or 'none'}"
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(map(str, known)), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _same_kind(value: Any, default: Any) -> bool:
    """Whether a given value may stand for a default: numbers for numbers, text for text.

    A setting whose default is a number also accepts text where the plug-in offers a word
    (``tv_weight: auto``) only when the default is itself text or None.
    """
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, str) and isinstance(value, (int, float)):
        return True
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, type(default))
