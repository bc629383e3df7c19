"""Which model families there are, read from their files without importing them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from normscan.errors import ConfigError
from normscan.plugins import complete_settings, literals, plugin_names, require_known

FOLDER = Path(__file__).resolve().parent


def families() -> list[str]:
    """Names of the model families: the files of this room that declare ``CAPABILITIES``."""
    return plugin_names(FOLDER, "CAPABILITIES")


def describe(family: str) -> dict[str, Any]:
    """What a family can do and which settings it takes.

    Returns
    -------
    description : ``capabilities`` (set of words), ``conditions`` (capability -> the setting that
        must not be 0 for it) and ``settings`` (name -> default).

    Raises
    ------
    ConfigError : there is no such family; the nearest is named.
    """
    require_known(family, families(), "model family", "family")
    found = literals(FOLDER / f"{family}.py")
    return {
        "capabilities": set(found["CAPABILITIES"]),
        "conditions": dict(found.get("CONDITIONS", {})),
        "settings": dict(found["SETTINGS"]),
    }


def settings(family: str, given: dict[str, Any], where: str = "") -> dict[str, Any]:
    """All settings of a family: ``given`` over the defaults.

    Parameters
    ----------
    where : the configuration key that errors name; default ``models.{family}``.

    Raises
    ------
    ConfigError : unknown settings or values of a wrong type, all of them at once.
    """
    defaults = describe(family)["settings"]
    complete, problems = complete_settings(given, defaults, where or f"models.{family}")
    if problems:
        raise ConfigError("\n".join(problems))
    return complete


def load(family: str) -> ModuleType:
    """The module of a family; its ``build(contrasts, size, seed, **settings)`` makes a model."""
    require_known(family, families(), "model family", "family")
    return importlib.import_module(f"normscan.models.{family}")
