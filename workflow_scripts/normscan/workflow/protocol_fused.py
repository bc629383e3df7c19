"""Approaches that are fused of others of their protocol: what they may say, checked and filled in.

An entry ``fuse: [intensity, vae]`` stands among the approaches of a protocol. It is no plug-in and
no model: after its parts' maps are filtered, ``postprocessing.fusing`` makes one map of them. What
it says of itself, to the report as a detector does, are literals of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normscan.detectors import registry as detectors
from normscan.plugins import complete_settings
from normscan.workflow.protocol_approaches import NO_MODEL, Approach
from normscan.workflow.schema import unknown_key, wrong_value

# Stands where other approaches have the name of a detector.
FUSION = "fuse"
FILE = Path(__file__)
TITLE = "fused from the maps of other approaches, each as -log of its tail probability"
CITE = {
    "fisher1925": "Fisher RA. Statistical Methods for Research Workers. Edinburgh: Oliver and "
    "Boyd; 1925.",
    "nichols2005": "Nichols T, Brett M, Andersson J, Wager T, Poline JB. Valid conjunction "
    "inference with the minimum statistic. NeuroImage. 2005;25(3):653-660. "
    "https://doi.org/10.1016/j.neuroimage.2004.12.005",
    "phipson2010": "Phipson B, Smyth GK. Permutation P-values should never be zero: calculating "
    "exact P-values when permutations are randomly drawn. Statistical Applications in Genetics and "
    "Molecular Biology. 2010;9(1):39. https://doi.org/10.2202/1544-6115.1585",
}
LOOK = "fusion"
LINE = "dashdot"
EXPECTED = "reconstruction"
# Priors are applied to the parts' maps, as far as these have a sign; the sum has none.
SIGNED = False
RESIDUAL = False
SETTINGS = {
    "combine": "sum",
    "seeds": "own",
    "position": "slice",
    "least_scans": 20,
    "tail": 0.001,
}
ALLOWED = {
    "combine": ["sum", "minimum"],
    "seeds": ["own", "all"],
    "position": ["slice", "none"],
    "least_scans": "whole 1..",
    "tail": "0..0.5",
}
MEANING = {
    "combine": "sum: with weights, so that one part alone can mark a voxel; minimum: a voxel must "
    "be rare in every part",
    "seeds": "own: a fused map of each seed; all: one of the maps of all seeds, -log p averaged",
    "position": "slice: tail probabilities of each axial slice, where there are scans enough; "
    "none: of all voxels together",
    "least_scans": "held-out healthy scans that must have scores in a slice [scans]",
    "tail": "share of the voxels that an exponential tail is fitted to; 0: none",
    "weights": "shares of the parts in the sum: equal, or part -> number above 0",
}
EQUAL = "equal"
# Keys of an entry that are no settings.
OWN = ("fuse", "title", "published", "weights")


def describe(detector: str) -> dict[str, Any]:
    """As ``detectors.registry.describe``, of what stands in an approach's ``detector``."""
    if detector != FUSION:
        return detectors.describe(detector)
    return {
        "needs": set(),
        "needed_for": {},
        "settings": dict(SETTINGS),
        "signed": SIGNED,
        "residual": RESIDUAL,
        "layers": set(),
        "uses": {},
        "levels": {"voxel"},
        "cost": 1.0,
    }


def with_fused(
    entries: Mapping[str, Mapping[str, Any]],
    found: Mapping[str, Approach],
    where: str,
    problems: list[str],
) -> dict[str, Approach]:
    """A protocol's approaches in its order, the fused ones among them; problems are added.

    Parameters
    ----------
    entries : the approaches as they are written.
    found : those that are not fused, and whose entries could be read.
    """
    fused = {}
    for name, entry in entries.items():
        if "fuse" in entry:
            key = f"{where}.approaches.{name}"
            wrong = _part_problems(entry["fuse"], entries, found, key)
            settings, others = complete_settings(
                {one: value for one, value in entry.items() if one not in OWN},
                SETTINGS,
                ALLOWED,
                key,
            )
            weights = entry.get("weights", EQUAL)
            wrong += others + _weight_problems(weights, entry["fuse"], f"{key}.weights")
            if settings.get("combine") == "minimum" and weights != EQUAL:
                wrong.append(f"{key}.weights: have no part in a minimum; leave them out")
            problems += wrong
            fused[name] = Approach(
                name=name,
                title=entry.get("title", name.replace("_", " ")),
                model=NO_MODEL,
                detector=FUSION,
                settings={"fuse": list(entry["fuse"]), "weights": weights, **settings},
                published=entry.get("published", ""),
                parts=tuple(found[one] for one in entry["fuse"] if one in found),
            )
    both = {**found, **fused}
    return {name: both[name] for name in entries if name in both}


def _part_problems(
    parts: list[str],
    entries: Mapping[str, Mapping[str, Any]],
    found: Mapping[str, Approach],
    where: str,
) -> list[str]:
    """What is wrong with the approaches that are to be fused.

    That none of them may be a fused one also rules out circles.
    """
    problems = []
    usable = [name for name, entry in entries.items() if "fuse" not in entry]
    for name in parts:
        if name in entries and name not in usable:
            problems.append(
                f"{where}.fuse: '{name}' is fused itself; name the approaches that it is fused of, "
                "with weights if they are not to count alike"
            )
        elif name not in usable:
            problems.append(wrong_value(f"{where}.fuse", name, usable))
        elif name in found and "voxel" not in describe(found[name].detector)["levels"]:
            problems.append(f"{where}.fuse: '{name}' scores whole slices; only maps can be fused")
    return problems


def _weight_problems(weights: Any, parts: list[str], where: str) -> list[str]:
    """What is wrong with the weights of the parts."""
    if weights == EQUAL:
        return []
    if not isinstance(weights, Mapping):
        return [
            f"{where}: found {weights!r}; must be '{EQUAL}' or a number for each part, "
            f"{{{', '.join(f'{name}: 1' for name in parts)}}}"
        ]
    problems = [unknown_key(where, name, parts) for name in weights if name not in parts]
    problems += [f"{where}.{name}: is missing" for name in parts if name not in weights]
    return problems + [
        f"{where}.{name}: found {weight!r}; must be a number above 0"
        for name, weight in weights.items()
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < 1e9
    ]


def weights_of(approach: Approach) -> dict[str, float]:
    """Part -> its weight; all of them together are 1."""
    given = approach.settings["weights"]
    parts = [part.name for part in approach.parts]
    weights = dict.fromkeys(parts, 1.0) if given == EQUAL else given
    total = sum(weights[name] for name in parts)
    return {name: weights[name] / total for name in parts}
