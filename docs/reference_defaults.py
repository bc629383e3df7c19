"""Defaults of a configuration's and a protocol's keys, from the constants that the code goes by.

A mapping under the key ``split`` has its defaults in the constant ``SPLIT``, and so has any other.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from normscan.cohorts.scans import Cohort
from normscan.workflow import configuration, protocols
from normscan.workflow.protocol_approaches import Approach
from normscan.workflow.protocol_models import Model
from normscan.workflow.training_sets import Stream


def config_default(path: tuple[str, ...]) -> Any:
    """Of a key of ``config.yaml``, by its path."""
    if len(path) == 1:
        return configuration.DEFAULTS.get(path[0])
    if path[:2] == ("cohorts", "NAME"):
        return _of(Cohort, path[2:])
    return _constant(configuration, path)


def protocol_default(path: tuple[str, ...]) -> Any:
    """Of a key of a protocol, by its path."""
    if path == ("threshold_rules",):
        return protocols.DEFAULT_RULES
    for start, owner in (
        (("models", "NAME"), Model),
        (("approaches", "NAME"), Approach),
        (("training", "streams", "NAME"), Stream),
    ):
        if path[: len(start)] == start:
            return _of(owner, path[len(start) :])
    return _constant(protocols, path)


def _constant(module: Any, path: tuple[str, ...]) -> Any:
    """From the mapping of defaults that is called as the key above."""
    found = getattr(module, path[-2].upper(), None) if len(path) == 2 else None
    return found.get(path[-1]) if isinstance(found, dict) else None


def _of(owner: type, rest: tuple[str, ...]) -> Any:
    """Of a field of what an entry becomes."""
    for one in fields(owner):
        if rest == (one.name,):
            made = one.default_factory
            return (
                made() if made is not MISSING else None if one.default is MISSING else one.default
            )
    return None
