"""Which detectors there are, read from their files without importing them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from normscan.errors import ConfigError
from normscan.plugins import literals, plugin_names, require_known

if TYPE_CHECKING:
    import torch

    from normscan.detectors.base import Detector

FOLDER = Path(__file__).resolve().parent
# Of settings that several detectors have; a detector's own words come first.
MEANING = {
    "batch_size": "slices at once; null: what suits the device [slices]",
    "tv_weight": "lambda, weight of the total variation; auto: the one that changes healthy "
    "validation slices least, if it is inside of the range that is searched, else the published "
    "one",
    "tv_candidates": "weights that auto tries",
    "tv_slices": "healthy slices that are restored for each candidate, spread over all scans "
    "[slices]",
}


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
        that a model needs for it, or value -> capability), ``settings`` (name -> default),
        ``signed`` (whether the map's sign says brighter or darker than expected), ``residual``
        (whether the map is a residual of a reconstruction, in units of intensity), ``layers`` (set
        of those it reads), ``uses`` (role -> set of capabilities of further models), ``levels``
        (what it scores: ``voxel``, ``slice``) and ``cost`` (time of a scan against that of the
        usual detector).

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
        "layers": set(found.get("LAYERS", ("brain",))),
        "uses": {role: set(needs) for role, needs in found.get("USES", {}).items()},
        "levels": set(found.get("LEVELS", ("voxel",))),
        "cost": float(found.get("COST", 1.0)),
    }


def load(name: str) -> ModuleType:
    """The module of a detector."""
    return importlib.import_module(f"normscan.detectors.{_known(name)}")


def prepare(
    name: str,
    model: Any,
    *,
    device: torch.device,
    contrasts: Sequence[str],
    uses: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Detector:
    """A detector that is ready for scans.

    Parameters
    ----------
    model : trained, with the capabilities that the detector needs; None where it needs none.
    contrasts : names of the targets' channels.
    uses : trained models by role, as the detector's ``USES`` asks for.
    settings : over the detector's defaults.

    Raises
    ------
    ConfigError : a setting that is not known or impossible; a role without a model.
    """
    described = describe(name)
    for one in settings:
        require_known(one, described["settings"], f"setting of detector {name}", one)
    if missing := set(described["uses"]) - set(uses or {}):
        raise ConfigError(f"uses: detector {name} needs a model for {', '.join(sorted(missing))}")
    further = {"uses": uses} if described["uses"] else {}
    chosen = {**described["settings"], **settings}
    return load(name).prepare(model, device=device, contrasts=contrasts, **chosen, **further)


def _known(name: str) -> str:
    plain = name.replace("-", "_")
    require_known(plain, names(), "detector", "detector")
    return plain
