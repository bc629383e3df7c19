"""One synthetic scan: a healthy host, and the first of its lesions that fits."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from normscan.cohorts.plan_synthetic import SPHERES
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
TRIED_SPHERES = 5


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
    intensity: str,
    contrast: Mapping[str, float],
    strength: float,
    radius: Sequence[float],
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
    host), ``inside`` (share of its volume), ``passed_over`` (lesions before it, with the reason).

    Raises
    ------
    ScanError : none of the lesions fits on this host.
    """
    shared, found = _shared_space(masks, atlas, atlases, hosts, lesions)
    random = partial(stream, seed, target.cohort, target.id)
    align = partial(aligned, shared=shared, found=found, seed=seed)
    affines = align(host, hosts["skull_stripped"], hosts["space"])
    place = Host(Prepared.from_scan(host), affines, hosts["skull_stripped"])
    settings = {
        "strength": strength,
        "blend": blend,
        "intensity": intensity or ("uniform" if masks == SPHERES else "tissue"),
        "contrasts": contrast,
    }
    passed_over: dict[str, str] = {}

    def lesion_at(donor: Scan) -> Lesion:
        if not lesions:
            return lesion_of(donor, {}, (), {})
        wanted = {one: lesion_contrasts.get(one, one) for one in target.images}
        own = align(donor, lesions["skull_stripped"], lesions["space"])
        return lesion_of(donor, own, lesions["labels"], wanted)

    def candidates() -> Iterator[tuple[str, Any]]:
        if masks == SPHERES:
            for number in range(1, TRIED_SPHERES + 1):
                rng = random(f"sphere {number}")
                yield f"sphere {number}", partial(made_lesion, place, (radius[0], radius[1]), rng)
        for donor in donors:
            yield (
                f"{donor.cohort}/{donor.id}" if lesions else donor.subject,
                partial(lesion_at, donor),
            )

    for name, make in candidates():
        try:
            lesion = make()
            share = place.inside(lesion)
            if not share or share < inside:
                passed_over[name] = f"{share:.0%} of it would be inside, below {inside:.0%}"
                continue
            streams = {one: random(one) for one in target.images}
            facts = paste_scan(place, lesion, target.images, target.lesion_mask, settings, streams)
        except NormscanError as error:
            passed_over[name] = " ".join(str(error).split())
            continue
        for other, reason in passed_over.items():
            LOG.warning("%s: lesion of %s is passed over: %s", target.id, other, reason)
        return {
            "scan": target.id,
            "host": f"{host.cohort}/{host.id}",
            "lesion": name,
            "lesion_ml": round(facts["lesion_ml"], 3),
            "inside": round(share, 3),
            "passed_over": "; ".join(f"{one}: {why}" for one, why in passed_over.items()),
        }
    raise _unfit(host, passed_over)


def _shared_space(
    masks: str,
    atlas: str,
    atlases: Mapping[str, Mapping[str, str]],
    hosts: Mapping[str, Any],
    lesions: Mapping[str, Any],
) -> tuple[str, Atlas | None]:
    """Space in which places of hosts and lesions correspond, and the atlas to go there by."""
    if masks == SPHERES:
        return "", None
    if lesions and hosts["space"] and hosts["space"] == lesions["space"]:
        return hosts["space"], None
    return atlas, find_atlas(atlas, atlases)


def _unfit(host: Scan, reasons: Mapping[str, str]) -> ScanError:
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return ScanError(
        host.id,
        next(iter(host.images.values()), ""),
        f"none of {len(reasons)} lesion(s) fits on this host ({listed})",
        "lower synthetic.inside, give other lesions, or exclude the host from its healthy cohort",
    )
