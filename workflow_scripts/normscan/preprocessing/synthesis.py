"""One synthetic scan: a healthy host, and the first of its lesions that fits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from normscan.cohorts.plan_synthetic import MADE, MIXED, MIXED_INTENSITIES, SHAPES
from normscan.cohorts.scans import Scan
from normscan.cohorts.simulation.noise import stream
from normscan.errors import NormscanError, ScanError
from normscan.preprocessing.atlases import Atlas
from normscan.preprocessing.atlases import atlas as find_atlas
from normscan.preprocessing.pasting import (
    Host,
    Lesion,
    aligned,
    lesion_of,
    made_lesion,
    paste_scan,
)
from normscan.preprocessing.volumes import Prepared

LOG = logging.getLogger("normscan")
TRIED_SHAPES = 5
COLUMNS = (
    "scan", "host", "lesion", "lesion_ml", "intensities", "mass_effect_mm", "inside", "passed_over",
)  # fmt: skip


def synthesise(
    target: Scan,
    host: Scan,
    donors: Sequence[Scan],
    *,
    hosts: Mapping[str, Any],
    lesions: Mapping[str, Any],
    masks: str,
    atlas: str,
    atlases: Mapping[str, Mapping[str, str]],
    lesion_contrasts: Mapping[str, str],
    blend: str,
    intensities: str,
    contrast: Mapping[str, float],
    strength: float,
    radius: Sequence[float],
    mass_effect: Sequence[float],
    inside: float,
    seed: int,
) -> dict[str, Any]:
    """Write a scan of a synthetic cohort: its images and its lesion mask.

    Parameters
    ----------
    target : the scan to be written.
    host : the healthy scan.
    donors : scans whose lesions are tried, in this order.
    hosts, lesions : ``skull_stripped``, ``space`` and ``labels`` of the cohorts of both; lesions
        without a cohort: empty.
    masks, atlas, ..., seed : settings of ``cohorts.plan_synthetic``.
    inside : least share of a lesion that must be in the host's brain and in its field of view.

    Returns
    -------
    a row of the table of pairs: ``scan``, ``host``, ``lesion``, ``lesion_ml`` (as it is in the
    host), ``intensities`` (``own``: the patient's), ``mass_effect_mm``, ``inside`` (share of its
    volume), ``passed_over`` (lesions before it, with the reason).

    Raises
    ------
    ScanError : none of the lesions fits on this host.
    """
    # Made shapes need the brain alone, which hosts may show or have a mask of.
    if masks in MADE and (hosts["skull_stripped"] or host.brain_mask):
        shared, found = "", None
    else:
        shared, found = _shared_space(atlas, atlases, hosts, lesions)
    random = partial(stream, seed, target.cohort, target.id)
    align = partial(aligned, shared=shared, found=found, seed=seed)
    affines = align(host, hosts["skull_stripped"], hosts["space"])
    name = f"{host.cohort}/{host.id}"
    place = Host(name, Prepared.from_scan(host), affines, hosts["skull_stripped"], found)
    kind = _drawn(intensities, MIXED_INTENSITIES, random("intensities"))
    settings = {
        "strength": strength,
        "blend": blend,
        "intensities": kind or ("uniform" if masks in MADE else "tissue"),
        "contrasts": contrast,
        "mass_effect": round(random("mass effect").uniform(mass_effect[0], mass_effect[1]), 3),
    }

    def lesion_at(donor: Scan) -> Lesion:
        if not lesions:
            return lesion_of(donor, {}, (), {})
        # Where intensities are made, of the patient's images none is needed.
        shown = () if intensities else target.images
        wanted = {one: lesion_contrasts.get(one, one) for one in shown}
        own = align(donor, lesions["skull_stripped"], lesions["space"])
        return lesion_of(donor, own, lesions["labels"], wanted)

    candidates: list[tuple[str, Callable[[], Lesion]]] = [
        (f"{one.cohort}/{one.id}" if lesions else one.subject, partial(lesion_at, one))
        for one in donors
    ]
    if masks in MADE:
        size = (radius[0], radius[1])
        shape = _drawn(masks, SHAPES, random("shape"))
        names = [f"{shape.removesuffix('s')} {number}" for number in range(1, TRIED_SHAPES + 1)]
        candidates = [(one, partial(made_lesion, place, shape, size, random(one))) for one in names]
    return _first_fitting(target, place, candidates, inside, settings, random)


def _drawn(kind: str, choices: Sequence[str], rng: np.random.Generator) -> str:
    """A kind, or where it is mixed one of several."""
    return str(rng.choice(list(choices))) if kind == MIXED else kind


def _first_fitting(
    target: Scan,
    place: Host,
    candidates: Sequence[tuple[str, Callable[[], Lesion]]],
    inside: float,
    settings: Mapping[str, Any],
    random: Callable[[str], np.random.Generator],
) -> dict[str, Any]:
    """Paste the first lesion of which enough is inside; its row of the table of pairs."""
    passed_over: dict[str, str] = {}
    for name, make in candidates:
        try:
            lesion = make()
            share = place.inside(lesion)
            if not share or share < inside:
                passed_over[name] = f"{share:.0%} of it would be inside, below {inside:.0%}"
                continue
            streams = {one: random(one) for one in target.images}
            volume = paste_scan(place, lesion, target.images, target.lesion_mask, settings, streams)
        except NormscanError as error:
            passed_over[name] = " ".join(str(error).split())
            continue
        for other, reason in passed_over.items():
            LOG.warning("%s: lesion of %s is passed over: %s", target.id, other, reason)
        said = "; ".join(f"{one}: {why}" for one, why in passed_over.items())
        return {
            "scan": target.id,
            "host": place.name,
            "lesion": name,
            "lesion_ml": round(volume, 3),
            "intensities": "own" if lesion.images else settings["intensities"],
            "mass_effect_mm": settings["mass_effect"],
            "inside": round(share, 3),
            "passed_over": said,
        }
    raise _unfit(place, passed_over)


def _shared_space(
    atlas: str,
    atlases: Mapping[str, Mapping[str, str]],
    hosts: Mapping[str, Any],
    lesions: Mapping[str, Any],
) -> tuple[str, Atlas | None]:
    """Space in which places of hosts and lesions correspond, and the atlas to go there by."""
    if lesions and hosts["space"] and hosts["space"] == lesions["space"]:
        return hosts["space"], None
    return atlas, find_atlas(atlas, atlases)


def _unfit(place: Host, reasons: Mapping[str, str]) -> ScanError:
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return ScanError(
        place.prepared.scan,
        place.prepared.images[place.contrast()],
        f"none of {len(reasons)} lesion(s) fits on this host ({listed})",
        "lower synthetic.inside, give other lesions, or exclude the host from its healthy cohort",
    )
