"""Which networks there are: a model family's encoder, decoder and critic.

A network is one file of this room with the literal constants ``BOTTLENECKS`` (forms of the code
that it has, the usual one first) and ``CRITIC`` (whether it has one), and with functions::

    make_encoder(contrasts, size, latent, bottleneck, codes=1)   slices -> tuple of ``codes`` codes
    make_decoder(contrasts, size, latent, bottleneck)            code -> slices
    make_critic(contrasts, size)    slices -> (n,); its ``features`` are slices -> any shape
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from normscan.plugins import literals, plugin_names, require_known

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Names of the networks: the files of this room that declare ``BOTTLENECKS``."""
    return plugin_names(FOLDER, "BOTTLENECKS")


def describe(name: str) -> dict[str, Any]:
    """``bottlenecks`` (list of words) and ``critic`` (bool) of a network.

    Raises
    ------
    ConfigError : there is no such network; the nearest is named.
    """
    require_known(name, names(), "network", "network")
    found = literals(FOLDER / f"{name}.py")
    return {"bottlenecks": list(found["BOTTLENECKS"]), "critic": bool(found["CRITIC"])}


def load(name: str) -> ModuleType:
    """The module of a network. ConfigError when there is none of that name."""
    require_known(name, names(), "network", "network")
    return importlib.import_module(f"normscan.networks.{name}")
