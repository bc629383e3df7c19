"""Which networks there are: what model families are made of.

A network is one file of this room with the literal constant ``PARTS``: which of these it has, each
made by a function of its own. ::

    encoder       make_encoder(channels, size, latent, bottleneck, codes=1)
                  slices -> tuple of ``codes`` codes; its ``stages`` -> (n, features, rows, columns)
    decoder       make_decoder(channels, size, latent, bottleneck)    code -> slices
    critic        make_critic(channels, size)    slices -> (n,); its ``features`` -> any shape
    discriminator   make_discriminator(channels, size)    as a critic, but its batch norms, if it
                  has such, may let slices of a batch depend on each other in training
    image_to_image  make_image_to_image(inputs, outputs, size, **settings)    slices -> images;
                  its ``features`` -> (n, features, size, size), its ``head`` -> images of those

``SIDE`` says which sides of slices it takes, where it does not take all
(:mod:`normscan.workflow.slice_sides`), so that a run of other ones is refused when it is planned.

Further parts are words that a network and the families which need them agree on. A network with
an encoder also has ``BOTTLENECKS`` (forms of its code, the usual one first) and, where codes are
dropped at random on their way into the decoder, ``DROPOUT`` (bottleneck -> usual rate): with such a
bottleneck ``make_decoder`` also takes the rate, ``dropout``. A decoder without an encoder, a
generator, has the bottleneck ``dense``.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from normscan.errors import ConfigError
from normscan.plugins import literals, plugin_names, require_known

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Names of the networks: the files of this room that declare ``PARTS``."""
    return plugin_names(FOLDER, "PARTS")


def describe(name: str) -> dict[str, Any]:
    """``parts`` (set of words), ``bottlenecks`` (list), ``dropout`` (bottleneck -> rate), ``side``.

    Raises
    ------
    ConfigError : there is no such network; the nearest is named.
    """
    require_known(name, names(), "network", "network")
    found = literals(FOLDER / f"{name}.py")
    return {
        "parts": set(found["PARTS"]),
        "bottlenecks": list(found.get("BOTTLENECKS", ())),
        "dropout": dict(found.get("DROPOUT", {})),
        "side": found.get("SIDE", ""),
    }


def having(parts: set[str]) -> list[str]:
    """Names of the networks that have all of these parts."""
    return [name for name in names() if parts <= describe(name)["parts"]]


def dropout_rate(name: str, bottleneck: str, given: float | None = None) -> float | None:
    """Rate at which a network drops entries of its code; None: that bottleneck has no dropout.

    Parameters
    ----------
    given : at least 0 and below 1; None: the network's own.

    Raises
    ------
    ConfigError : a rate was given that is none, or to a bottleneck without dropout.
    """
    usual = describe(name)["dropout"]
    if given is None:
        return usual.get(bottleneck)
    if bottleneck not in usual:
        raise ConfigError(
            f"dropout: found {given!r}; bottleneck '{bottleneck}' of network {name} has no dropout"
        )
    return check_rate(given)


def check_rate(rate: float) -> float:
    """``rate``. ConfigError when it is no number of at least 0 and below 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise ConfigError(f"dropout: found {rate!r}; must be a number of at least 0 and below 1")
    return rate


def load(name: str) -> ModuleType:
    """The module of a network. ConfigError when there is none of that name."""
    require_known(name, names(), "network", "network")
    return importlib.import_module(f"normscan.networks.{name}")
