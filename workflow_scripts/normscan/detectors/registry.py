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
    """``needs`` (capabilities of a model) and ``settings`` (with defaults) of a detector.

    Raises
    ------
    ConfigError : there is no such detector; the nearest is named.
    """
    require_known(name, names(), "detector", "detector")
    found = literals(FOLDER / f"{name}.py")
    return {"needs": set(found["NEEDS"]), "settings": dict(found["SETTINGS"])}


def load(name: str) -> ModuleType:
    """The module of a detector; its ``detect`` makes maps."""
    require_known(name, names(), "detector", "detector")
    return importlib.import_module(f"normscan.detectors.{name}")
