"""Which scans a synthetic cohort has: held-out healthy hosts, and the lesions pasted on them.

The images themselves are made by a rule. Source: Chatterjee et al. 2022 (StRegA), section 3.3.1:
tumours of 20 patients on 20 volumes of the healthy test set. Here hosts are taken away from their
healthy cohort before anything is planned with it, so that no model can be trained on one.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from normscan.cohorts.scans import CONTRASTS, Cohort, Scan
from normscan.cohorts.splits import drawn_order
from normscan.plugins import complete_settings

SETTINGS: dict[str, Any] = {
    "hosts": "",
    "subjects": 20,
    "lesions": "",
    "masks": "",
    "atlas": "robex",
    "lesion_contrasts": {},
    "blend": "add",
    "intensities": None,
    "contrast": {},
    "strength": 1.0,
    "radius": [6.0, 18.0],
    "mass_effect": [0.0, 0.0],
    "inside": 0.5,
    "seed": 0,
}
ALLOWED = {
    "subjects": "1..",
    "blend": ["add", "replace"],
    "intensities": ["tissue", "uniform", "sampled", "above", "inside", "below", "mixed"],
    "strength": ">0..",
    "radius": "each 1..60",
    "mass_effect": "each 0..20",
    "inside": "0..1",
    "seed": "0..",
}
MEANING = {
    "hosts": "the healthy cohort that hosts are taken from",
    "subjects": "so many of its subjects leave it and become hosts [subjects]",
    "lesions": "cohort of patients whose lesions are pasted with their intensities",
    "masks": "instead of lesions: NIfTI masks in the space of atlas (/data/masks/*.nii.gz), or a "
    "shape that is made: spheres, ellipsoids, blobs, clusters, mixed",
    "atlas": "by which places in patients and hosts correspond; the space that masks are in",
    "lesion_contrasts": "host's contrast -> contrast that its lesion comes from, where they "
    "differ: {T1w: T1ce}",
    "blend": "of lesions: intensities are added to the host's, or take their place",
    "intensities": "what is pasted, of masks or in place of what lesions show; null: the usual of "
    "lesions or masks",
    "contrast": "of tissue: contrast -> how much brighter than around, {FLAIR: 0.8} [share]",
    "strength": "factor of what is pasted",
    "radius": "of made shapes, smallest and largest: of a ball as large [mm]",
    "mass_effect": "smallest and largest way that tissue around a lesion is pushed [mm]",
    "inside": "least share of a lesion that must be in the host's brain and field of view",
    "seed": "draws hosts, donors, shapes and noise",
}
# Shapes that are made, for ``masks``; MIXED draws one of them, and one of MIXED_INTENSITIES, for
# every host.
SHAPES = ("spheres", "ellipsoids", "blobs", "clusters")
MIXED = "mixed"
MADE = (*SHAPES, MIXED)
MIXED_INTENSITIES = ("above", "inside", "below")
# Lesions that are tried on a host before it is given up.
TRIES = 5
INHERITED = ("path", "skull_stripped", "space")


@dataclass(frozen=True)
class Paste:
    """One host scan and the scans whose lesions are tried on it, in this order.

    A lesion without images of its own is a scan that has a lesion mask only; of a shape that is
    made, nothing is known before.
    """

    host: Scan
    donors: tuple[Scan, ...] = ()


@dataclass(frozen=True)
class Synthetic:
    """How a synthetic cohort is made.

    Attributes
    ----------
    settings : complete settings; ``hosts`` and ``lesions`` name cohorts.
    taken : subjects that leave the cohort of hosts.
    pastes : scan id -> its host and donors.
    """

    settings: dict[str, Any]
    taken: frozenset[str] = frozenset()
    pastes: dict[str, Paste] = field(default_factory=dict)


def plan_synthetic(
    name: str, entry: Mapping[str, Any], cohorts: Mapping[str, Cohort], base: Path, folder: Path
) -> tuple[Synthetic, list[Scan], list[str]]:
    """Plan of a synthetic cohort, its scans, and every problem of its entry.

    Parameters
    ----------
    name, entry : of the cohort under ``config.cohorts``.
    cohorts : cohorts that are not synthetic, without hosts that others have taken.
    base : folder that a relative ``masks`` starts from.
    folder : where its BIDS folder will be.
    """
    given = entry.get("synthetic", {})
    settings, problems = complete_settings(given, SETTINGS, ALLOWED, "synthetic")
    problems += [
        f"{key}: is that of the hosts in a synthetic cohort; remove it"
        for key in INHERITED
        if key in entry
    ]
    if entry.get("role") not in ("patients", None):
        problems.append(f"role: found '{entry['role']}'; a synthetic cohort has role 'patients'")
    problems += _kind_problems(settings, given)
    problems += _cohort_problems("hosts", settings["hosts"], "healthy", cohorts, name)
    if settings["lesions"]:
        problems += _cohort_problems("lesions", settings["lesions"], "patients", cohorts, name)
    if problems:
        return Synthetic(settings), [], problems
    donors, problems = _donors(settings, cohorts, base)
    hosts = cohorts[settings["hosts"]]
    there = sorted({scan.subject for scan in hosts.scans})
    if settings["subjects"] >= len(there):
        problems.append(
            f"synthetic.subjects: found {settings['subjects']}, but cohort '{hosts.name}' has "
            f"{len(there)} subject(s), some of which must stay to train; lower it"
        )
    if problems:
        return Synthetic(settings), [], problems
    taken = chosen_hosts(there, settings["subjects"], settings["seed"], name)
    pastes, problems = _pastes(settings, entry, hosts, taken, donors)
    if problems:
        return Synthetic(settings), [], problems
    scans = [_scan(name, one.host, folder) for one in pastes.values()]
    return Synthetic(settings, frozenset(taken), pastes), scans, []


def chosen_hosts(subjects: Sequence[str], count: int, seed: int, cohort: str) -> list[str]:
    """So many subjects, drawn so that one more subject to draw from replaces one host at most."""
    return sorted(subjects, key=drawn_order(seed, f"{cohort} hosts"))[:count]


def assigned_donors(
    hosts: Sequence[str], donors: Sequence[str], seed: int
) -> dict[str, tuple[str, ...]]:
    """For every host the donors to try, its own first.

    Every host has an order of all donors of its own, which nothing else influences, and gets the
    first one that is in use least: no donor comes twice before all have come once, and one more
    host or donor changes few pairs. (Weighed against dealing shuffled donors in turn, where one
    more host moves all behind it on to the next donor.) Donors further on, tried when the first
    does not fit, may be others' as well.

    Parameters
    ----------
    hosts, donors : labels.
    """
    used: Counter[str] = Counter()
    found = {}
    for host in hosts:
        order = sorted(donors, key=drawn_order(seed, f"donor of {host}"))
        first = min(order, key=lambda one: used[one])
        used[first] += 1
        found[host] = (first, *(one for one in order if one != first))[:TRIES]
    return found


def _kind_problems(settings: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Lesions come from patients, or from masks; what is said of the other kind means nothing."""
    problems = []
    if bool(settings["lesions"]) == bool(settings["masks"]):
        problems.append(
            "synthetic: give either 'lesions' (a cohort of patients) or 'masks' (files of lesion "
            f"masks, or one of {', '.join(MADE)})"
        )
    kind = "lesions" if settings["lesions"] else "masks"
    # Intensities for patients' masks take the place of what their images show.
    own = bool(settings["lesions"]) and settings["intensities"] is None
    foreign = {"lesions": "radius", "masks": ""}[kind].split()
    foreign += ["contrast"] if own else ["blend", "lesion_contrasts"]
    beside = kind if own or kind == "masks" else "intensities"
    for key in foreign:
        if key in given:
            word = kind if key == "radius" else beside
            problems.append(f"synthetic.{key}: has no meaning beside '{word}'; remove it")
    for key, what in (("radius", "radius"), ("mass_effect", "push")):
        pair = settings[key]
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] > pair[1]:
            problems.append(
                f"synthetic.{key}: found {pair}; must be the smallest and the largest {what} in mm"
            )
    for key in ("lesion_contrasts", "contrast"):
        problems += [
            f"synthetic.{key}: unknown contrast '{one}'; allowed: {', '.join(CONTRASTS)}"
            for one in settings[key]
            if one not in CONTRASTS
        ]
    for one, value in settings["contrast"].items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value:
            problems.append(
                f"synthetic.contrast.{one}: found {value!r}; must be a number that is not 0"
            )
    return problems


def _cohort_problems(
    key: str, named: Any, role: str, cohorts: Mapping[str, Cohort], own: str
) -> list[str]:
    where = f"synthetic.{key}"
    if not named:
        return [f"{where}: is missing; it names a cohort of role '{role}'"]
    if named == own:
        return [f"{where}: '{named}' is this cohort itself; name another of role '{role}'"]
    if named not in cohorts:
        fitting = ", ".join(one for one, cohort in cohorts.items() if cohort.role == role)
        return [
            f"{where}: '{named}' is no cohort with scans of its own; of role '{role}' there are: "
            f"{fitting or 'none'}"
        ]
    if cohorts[named].role != role:
        return [f"{where}: '{named}' has role '{cohorts[named].role}'; it must be '{role}'"]
    return []


def _donors(
    settings: Mapping[str, Any], cohorts: Mapping[str, Cohort], base: Path
) -> tuple[list[Scan], list[str]]:
    """One scan of every subject with lesions, or every mask alone."""
    if settings["lesions"]:
        first: dict[str, Scan] = {}
        for scan in sorted(cohorts[settings["lesions"]].scans, key=lambda one: one.id):
            first.setdefault(scan.subject, scan)
        return list(first.values()), []
    if settings["masks"] in MADE:
        return [], []
    pattern = os.path.abspath(base / settings["masks"])
    paths = [one for one in sorted(glob.glob(pattern)) if one.endswith((".nii", ".nii.gz"))]
    if not paths:
        return [], [f"synthetic.masks: {pattern}: no NIfTI file of that name"]
    names = [Path(path).name.removesuffix(".gz").removesuffix(".nii") for path in paths]
    if twice := [one for one, count in Counter(names).items() if count > 1]:
        return [], [f"synthetic.masks: several files are called '{twice[0]}'; rename them"]
    return [Scan("", one, lesion_mask=path) for one, path in zip(names, paths)], []


def _pastes(
    settings: Mapping[str, Any],
    entry: Mapping[str, Any],
    hosts: Cohort,
    taken: Sequence[str],
    donors: Sequence[Scan],
) -> tuple[dict[str, Paste], list[str]]:
    """Host and donors of every scan of the hosts, with the images that both of them have."""
    wanted = set(entry.get("contrasts") or CONTRASTS)
    scans = [scan for scan in hosts.scans if scan.subject in taken]
    if settings["lesions"] and settings["intensities"] is None:
        source = settings["lesion_contrasts"]
        shown = {contrast for donor in donors for contrast in donor.images}
        there = {contrast for scan in scans for contrast in scan.images} & wanted
        wanted = {contrast for contrast in there if source.get(contrast, contrast) in shown}
        needed = {source.get(contrast, contrast) for contrast in wanted}
        donors = [one for one in donors if needed and needed <= set(one.images)]
        if not donors:
            return {}, [
                f"synthetic.lesions: no patient of '{settings['lesions']}' shows all that is "
                f"wanted of the hosts ({', '.join(sorted(there))}); patients have: "
                f"{', '.join(sorted(shown)) or 'no image'}. Say with 'lesion_contrasts' which "
                "stands for which, or with 'contrasts' which to use"
            ]
    scans = [
        replace(scan, images={one: path for one, path in scan.images.items() if one in wanted})
        for scan in scans
    ]
    by_label = {one.subject: one for one in donors}
    order = assigned_donors(taken, list(by_label), settings["seed"]) if donors else {}
    return {
        scan.id: Paste(scan, tuple(by_label[one] for one in order.get(scan.subject, ())))
        for scan in sorted(scans, key=lambda one: one.id)
    }, []


def _scan(cohort: str, host: Scan, folder: Path) -> Scan:
    """A host under its own name, with the images and the lesion mask that will be."""
    parts = [f"sub-{host.subject}", *([f"ses-{host.session}"] if host.session else []), "anat"]
    place = Path(folder, *parts)
    truth = Path(folder, "derivatives", "truth", *parts)
    return replace(
        host,
        cohort=cohort,
        images={one: str(place / f"{host.id}_{one}.nii.gz") for one in host.images},
        lesion_mask=str(truth / f"{host.id}_label-lesion_dseg.nii.gz"),
    )
