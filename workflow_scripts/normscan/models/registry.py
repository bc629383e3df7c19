"""Which model families there are, read from their files without importing them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from normscan.errors import ConfigError
from normscan.networks import registry as networks
from normscan.plugins import literals, plugin_names, require_known

FOLDER = Path(__file__).resolve().parent


def families() -> list[str]:
    """Names of the model families: the files of this room that declare ``CAPABILITIES``."""
    return plugin_names(FOLDER, "CAPABILITIES")


def describe(family: str) -> dict[str, Any]:
    """What a family can do and which settings it takes.

    Returns
    -------
    description : ``capabilities`` (set of words), ``by_dropout`` (those that only a bottleneck
        with dropout gives), ``settings`` (name -> default), and what its network must have:
        ``needs_critic``, ``needs_dense`` (bool).

    Raises
    ------
    ConfigError : there is no such family; the nearest is named.
    """
    require_known(family, families(), "model family", "family")
    found = literals(FOLDER / f"{family}.py")
    return {
        "capabilities": set(found["CAPABILITIES"]),
        "by_dropout": set(found.get("BY_DROPOUT", ())),
        "settings": dict(found["SETTINGS"]),
        "needs_critic": bool(found.get("NEEDS_CRITIC", False)),
        "needs_dense": bool(found.get("NEEDS_DENSE", False)),
    }


def capabilities(family: str, settings: dict[str, Any]) -> set[str]:
    """What a family can do on the network that its complete settings name."""
    described = describe(family)
    without = described["by_dropout"] if no_dropout(settings, "") else set()
    return described["capabilities"] - without


def no_dropout(settings: dict[str, Any], where: str) -> str:
    """Why models of these settings drop nothing in their bottleneck; empty when they do.

    Parameters
    ----------
    settings : complete settings of a family; a network that is not there is another problem.
    where : the configuration key of the model.
    """
    network, bottleneck = settings.get("network"), settings.get("bottleneck")
    if network not in networks.names():
        return ""
    if bottleneck not in networks.describe(network)["dropout"]:
        return f"{where}.bottleneck '{bottleneck}' of network {network} has no dropout"
    return f"{where}.dropout is 0" if settings.get("dropout") == 0 else ""


def network_problems(family: str, settings: dict[str, Any], where: str) -> list[str]:
    """Why a family cannot be built on the network that its settings name; empty when it can.

    Parameters
    ----------
    settings : complete settings of the family.
    where : the configuration key that problems are reported under.
    """
    if "network" not in settings:
        return []
    network, bottleneck = settings["network"], settings["bottleneck"]
    try:
        has, needs = networks.describe(network), describe(family)
    except ConfigError as error:
        return [f"{where}.{error}"]
    problems = []
    if bottleneck not in has["bottlenecks"]:
        allowed = ", ".join(has["bottlenecks"])
        problems.append(
            f"{where}.bottleneck: found '{bottleneck}'; network {network} has: {allowed}"
        )
    if needs["needs_dense"] and bottleneck != "dense":
        problems.append(f"{where}.bottleneck: found '{bottleneck}'; family {family} needs: dense")
    try:
        networks.dropout_rate(network, bottleneck, settings.get("dropout"))
    except ConfigError as error:
        problems.append(f"{where}.{error}")
    if needs["needs_critic"] and not has["critic"]:
        able = [name for name in networks.names() if networks.describe(name)["critic"]]
        problems.append(
            f"{where}.network: found '{network}', which has no critic; family {family} needs one "
            f"of: {', '.join(able)}"
        )
    return problems


def load(family: str) -> ModuleType:
    """The module of a family; its ``build(contrasts, size, seed, **settings)`` makes a model."""
    require_known(family, families(), "model family", "family")
    return importlib.import_module(f"normscan.models.{family}")
