"""Which detectors there are, read from their files without importing them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from normscan.plugins import literals, plugin_names, require_known

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Names of the detectors: the files of this room that declare ``NEEDS``."""
    return plugin_names(FOLDER, "NEEDS")


def describe(name: str) -> dict[str, Any]:
    """What a detector needs and which settings it takes.

    Parameters
    ----------
    name : dashes and underscores are the same.

    Returns
    -------
    description : ``needs`` (set of capabilities of a model), ``needed_for`` (setting -> capability
        that a model needs for it), ``settings`` (name -> default), ``signed`` (whether the map's
        sign says brighter or darker than expected), ``residual`` (whether the map is a residual
        of a reconstruction, in units of intensity) and ``levels`` (what is scored: ``voxel``,
        ``slice``).

    Raises
    ------
    ConfigError : there is no such detector; the nearest is named.
    """
    found = literals(FOLDER / f"{_known(name)}.py")
    return {
        "needs": set(found["NEEDS"]),
        "needed_for": dict(found.get("NEEDED_FOR", {})),
        "settings": dict(found["SETTINGS"]),
        "signed": found["SIGNED"],
        "residual": found["RESIDUAL"],
        "levels": set(found.get("LEVELS", {"voxel"})),
    }


def load(name: str) -> ModuleType:
    """The module of a detector; its ``detect(model, slices, brain, ...)`` makes maps."""
    return importlib.import_module(f"normscan.detectors.{_known(name)}")


def _known(name: str) -> str:
    plain = name.replace("-", "_")
    require_known(plain, names(), "detector", "detector")
    return plain
