"""All cohorts of a configuration; synthetic ones last, since they take their hosts from others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from normscan.cohorts.load import SYNTHETIC, load_cohort
from normscan.cohorts.plan_synthetic import MADE, Synthetic, plan_synthetic
from normscan.cohorts.scans import Cohort, labels_of
from normscan.errors import CohortError, ConfigError
from normscan.preprocessing.atlases import BUNDLED, atlas
from normscan.workflow.protocols import Protocol

Excluded = dict[str, dict[str, str]]
# Subjects that an error names.
SHOWN = 5


def load_cohorts(
    values: Mapping[str, Any], protocols: Mapping[str, Protocol], base: Path
) -> tuple[dict[str, Cohort], Excluded, dict[str, Synthetic]]:
    """All cohorts, why scans were left out (``on_bad_scan: exclude``), plans of synthetic ones.

    Synthetic cohorts take their hosts in the order of the configuration, no two the same one: what
    is found on the validation hosts of one would otherwise be reported on them in another.

    Parameters
    ----------
    values : ``config.yaml``, complete.
    base : folder that relative paths start from.

    Raises
    ------
    ConfigError : all problems of all cohorts at once.
    """
    results = Path(os.path.abspath(base / values["results"]))
    entries = values["cohorts"]
    made = [name for name, entry in entries.items() if entry["source"] == SYNTHETIC]
    roles = {name: entry.get("role", "") for name, entry in entries.items()}
    roles |= dict.fromkeys(made, "patients")
    cohorts: dict[str, Cohort] = {}
    excluded: Excluded = {}
    problems: list[str] = []
    seen: set[str] = set()

    def load(name: str, entry: dict[str, Any], **more) -> None:
        try:
            cohorts[name], excluded[name] = load_cohort(
                name,
                entry,
                base,
                results=results,
                needed_contrasts=_needed_contrasts(name, roles, protocols),
                on_bad_scan=values["on_bad_scan"],
                **more,
            )
        except CohortError as error:
            # A table that two cohorts are of is wrong once.
            own = os.path.abspath(base / entry.get("path", ""))
            told = [one for one in error.problems if one not in seen]
            seen.update(one for one in told if one.startswith((f"{own},", f"{own}:")))
            if told:
                problems.append(str(CohortError(name, told)))

    for name, entry in entries.items():
        if name not in made:
            load(name, entry)
    problems += shared_subjects(entries, cohorts, base)
    # What is missing for another reason must not be said to be unknown.
    if problems:
        raise ConfigError("\n".join(problems))
    own = dict(cohorts)
    plans: dict[str, Synthetic] = {}
    for name in made:
        entry = {"role": "patients", **entries[name]}
        plan, scans, wrong = plan_synthetic(name, entry, own, base, results / SYNTHETIC / name)
        if wrong:
            problems.append(str(CohortError(name, wrong)))
            continue
        hosts = own[plan.settings["hosts"]]
        left = tuple(scan for scan in hosts.scans if scan.subject not in plan.taken)
        own[hosts.name] = cohorts[hosts.name] = replace(hosts, scans=left)
        plans[name] = plan
        load(
            name, {**_classes(plan, own, entry), **entry, **_inherited(plan, own)}, synthetic=scans
        )
    if problems:
        raise ConfigError("\n".join(problems))
    ordered = {name: cohorts[name] for name in entries}
    return ordered, {name: excluded[name] for name in entries}, plans


def shared_subjects(
    entries: Mapping[str, Mapping[str, Any]], cohorts: Mapping[str, Cohort], base: Path
) -> list[str]:
    """Subjects that two healthy or patient cohorts take from one folder or table.

    One session in each would be two images, which the check of their contents lets pass, but one
    person on both sides of a split. Cohorts to screen are compared when they are screened.
    """
    owners: dict[tuple[str, str, str], str] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for name, cohort in cohorts.items():
        if cohort.role == "unlabelled" or not entries[name].get("path"):
            continue
        source = entries[name]["source"], os.path.realpath(base / entries[name]["path"])
        for subject in dict.fromkeys(scan.subject for scan in cohort.scans):
            first = owners.setdefault((*source, subject), name)
            if first != name:
                shared.setdefault((first, name), []).append(f"sub-{subject}")
    return [
        f"cohorts '{first}' and '{name}' share {_listed(subjects)} of {entries[name]['path']}; a "
        "person stands in one cohort: tell them apart with 'include', 'where' or 'exclude'"
        for (first, name), subjects in shared.items()
    ]


def _listed(subjects: list[str]) -> str:
    more = len(subjects) - SHOWN
    return ", ".join(subjects[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def atlas_problems(
    cohorts: Mapping[str, Cohort],
    plans: Mapping[str, Synthetic],
    atlases: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Atlases that are not there, or do not show what the scans show."""
    problems = []
    for name, plan in plans.items():
        hosts = cohorts[plan.settings["hosts"]]
        others = [cohorts[plan.settings["lesions"]]] if plan.settings["lesions"] else []
        spaces = {one.space for one in others}
        brains = hosts.skull_stripped or all(one.host.brain_mask for one in plan.pastes.values())
        if plan.settings["masks"] in MADE and brains:
            continue
        if hosts.space and spaces == {hosts.space}:
            continue
        where = f"config.cohorts.{name}.synthetic.atlas"
        try:
            found = atlas(plan.settings["atlas"], atlases)
        except ConfigError as error:
            problems.append(f"{where}: {error}")
            continue
        heads = [
            one.name
            for one in (hosts, *others)
            if not one.skull_stripped and one.space != found.name
        ]
        if heads and found.head is None:
            problems.append(
                f"{where}: '{found.name}' has a brain only, but '{heads[0]}' shows heads; name an "
                "atlas with a head"
            )
    return problems


def step_atlas_problems(protocol: Protocol, atlases: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Atlases of a protocol's steps that are not there.

    Parameters
    ----------
    atlases : the configuration's own.
    """
    problems = []
    for position, step in enumerate(protocol.steps):
        name = step.settings.get("atlas")
        if name is None or name in BUNDLED:
            continue
        where = f"protocol '{protocol.name}'.preprocessing[{position}].{step.kind}"
        try:
            atlas(name, atlases)
        except ConfigError as error:
            problems.append(f"{where}.{error}" if name not in atlases else str(error))
    return problems


def _inherited(plan: Synthetic, cohorts: Mapping[str, Cohort]) -> dict[str, Any]:
    """What a synthetic cohort is because its hosts are."""
    hosts = cohorts[plan.settings["hosts"]]
    return {"skull_stripped": hosts.skull_stripped, "space": hosts.space}


def _classes(
    plan: Synthetic, cohorts: Mapping[str, Cohort], entry: Mapping[str, Any]
) -> dict[str, Any]:
    """Lesions that are sought where they come from, unless the entry says otherwise.

    What the entry's own classes do without is pasted all the same, and ignored.
    """
    named = plan.settings["lesions"]
    if not named:
        return {}
    theirs = cohorts[named].lesion_classes
    known = {*labels_of(theirs), *cohorts[named].ignored_labels}
    ignored = sorted(known - labels_of(entry.get("lesion_classes", theirs)))
    return {"lesion_classes": theirs, "ignored_labels": ignored}


def _needed_contrasts(
    name: str, roles: Mapping[str, str], protocols: Mapping[str, Protocol]
) -> list[str]:
    """Contrasts that the protocols which use a cohort need of each of its scans."""
    users = [one for one in protocols.values() if one.uses(name, roles)]
    return sorted({contrast for one in users for contrast in one.contrasts})
