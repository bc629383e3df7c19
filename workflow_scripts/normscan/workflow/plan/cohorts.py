"""What the rules of cohorts take: scans by shard, splits, the gate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from normscan import layout as places
from normscan.cohorts.dicom.folders import listing_digest
from normscan.cohorts.plan_synthetic import Paste
from normscan.cohorts.scans import Scan, labels_of
from normscan.cohorts.shards import shard_of
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.protocols import Rule
from normscan.workflow.selection import is_synthetic

# Settings of a synthetic cohort that decide which hosts and donors there are, and nothing else.
PLANNED = ("subjects", "hosts", "lesions")


class Cohorts:
    """Cohorts of a study in shards.

    Attributes
    ----------
    shards : cohort -> shard -> scans.
    roles : cohort -> role.
    """

    def __init__(self, study: Study, layout: Layout):
        self.study, self.layout = study, layout
        self.shards: dict[str, dict[str, list[Scan]]] = {
            name: shard_of(cohort.scans, study.shard_size[name])
            for name, cohort in study.cohorts.items()
        }
        self.ages = cache(self.ages)
        self.roles = {name: cohort.role for name, cohort in study.cohorts.items()}
        # With the hosts of synthetic cohorts, which belong to none of the shards above.
        self.made = {
            name: shard_of(self._all(name), study.shard_size[name])
            for name in (*study.simulation, *study.dicom)
        }

    def _all(self, cohort: str) -> list[Scan]:
        """Scans of a cohort, and those that synthetic cohorts have taken."""
        taken = [
            paste.host
            for plan in self.study.synthetic.values()
            for paste in plan.pastes.values()
            if paste.host.cohort == cohort
        ]
        return [*self.study.cohorts[cohort].scans, *taken]

    def named(self, *roles: str) -> list[str]:
        """Names of the cohorts with one of the roles."""
        return [name for name, role in self.roles.items() if role in roles]

    def users(self, cohort: str) -> list[str]:
        """Protocols that train on, evaluate or screen a cohort."""
        found = self.study.protocols.items()
        return [name for name, protocol in found if protocol.uses(cohort, self.roles)]

    def used(self, protocol: str) -> list[str]:
        """Cohorts that a protocol uses, the unlabelled ones as well."""
        return [name for name in self.roles if protocol in self.users(name)]

    # Their scans

    def simulation(self, cohort: str) -> dict[str, Any]:
        """How a cohort's scans are simulated; their number has no part in any one of them."""
        settings = self.study.simulation[cohort]
        return {key: value for key, value in settings.items() if key != "subjects"}

    def subjects(self, w) -> list[str]:
        """Subjects of a shard that is simulated."""
        return [scan.subject for scan in self.made[w.cohort][w.shard]]

    def dicom_sources(self, w) -> list[dict[str, Any]]:
        """Scans of a shard that is converted, their folders, and digests of what these list."""
        sources = self.study.dicom[w.cohort].sources
        return [
            {
                "scan": _record(scan),
                "folder": sources[scan.id],
                "listing": listing_digest(Path(sources[scan.id])),
            }
            for scan in self.made[w.cohort][w.shard]
        ]

    def scan_files(self, w) -> list[str]:
        """Every file of a shard's scans; those that are made come from their own rules."""
        if w.cohort in self.study.synthetic:
            return [self.layout.fill(places.SYNTHETIC, cohort=w.cohort, shard=w.shard)]
        return self._files(self.shards[w.cohort][w.shard])

    def pasted_files(self, w) -> list[str]:
        """Files of a synthetic shard's hosts, and of the lesions that are tried on them."""
        pastes = self._pastes(w)
        return self._files([one for paste in pastes for one in (paste.host, *paste.donors)])

    def _files(self, scans: Iterable[Scan]) -> list[str]:
        found = []
        for scan in scans:
            if scan.cohort in self.made:
                simulated = scan.cohort in self.study.simulation
                template = places.SIMULATED if simulated else places.CONVERTED
                found += [
                    self.layout.fill(template, cohort=scan.cohort, shard=shard)
                    for shard, inside in self.made[scan.cohort].items()
                    if any(one.id == scan.id for one in inside)
                ]
            else:
                masks = (scan.brain_mask, scan.lesion_mask, scan.anatomy)
                found += [*scan.images.values(), *masks]
        return [path for path in dict.fromkeys(found) if path]

    def scan_records(self, w) -> list[dict[str, Any]]:
        """A shard's scans as plain values."""
        return [_record(scan) for scan in self.shards[w.cohort][w.shard]]

    # What is pasted on what

    def _pastes(self, w) -> list[Paste]:
        pastes = self.study.synthetic[w.cohort].pastes
        return [pastes[scan.id] for scan in self.shards[w.cohort][w.shard]]

    def paste_records(self, w) -> list[dict[str, Any]]:
        """Host and donors of a synthetic shard's scans as plain values."""
        return [
            {"host": _record(one.host), "donors": [_record(donor) for donor in one.donors]}
            for one in self._pastes(w)
        ]

    def pasting(self, cohort: str) -> dict[str, Any]:
        """How lesions are pasted; which hosts there are has no part in any one of them."""
        settings = self.study.synthetic[cohort].settings
        kept = {key: value for key, value in settings.items() if key not in PLANNED}
        about = {kind: self._about(settings[kind]) for kind in ("hosts", "lesions")}
        return {**kept, **about}

    def _about(self, cohort: str) -> dict[str, Any]:
        """What is to be known of a cohort whose scans are aligned; nothing where there is none."""
        if not cohort:
            return {}
        found = self.study.cohorts[cohort]
        return {
            "skull_stripped": found.skull_stripped,
            "space": found.space,
            "labels": self.lesion_labels(cohort),
        }

    def pairs(self) -> list[str]:
        """Tables of what was pasted on what, of all synthetic cohorts."""
        return [
            self.layout.fill(places.SYNTHETIC_PAIRS, cohort=cohort, shard=shard)
            for cohort in self.study.synthetic
            for shard in self.shards[cohort]
        ]

    def needed_contrasts(self, cohort: str) -> list[str]:
        """Contrasts that the protocols which use a cohort need."""
        protocols = [self.study.protocols[name] for name in self.users(cohort)]
        return sorted({contrast for protocol in protocols for contrast in protocol.contrasts})

    def lesion_labels(self, cohort: str) -> list[int]:
        """Mask labels that count as lesion; empty: all but 0."""
        return sorted(labels_of(self.study.cohorts[cohort].lesion_classes))

    def lesion_classes(self, cohort: str) -> dict[str, list[int]]:
        """Abnormality class -> its mask labels; empty where a cohort names none."""
        classes = self.study.cohorts[cohort].lesion_classes
        return {
            name: sorted(one) if isinstance(one, list) else [one] for name, one in classes.items()
        }

    def anatomy_classes(self, cohort: str) -> dict[str, Any]:
        """Classes of a cohort's label maps of anatomy; empty where it has none."""
        return dict(self.study.cohorts[cohort].anatomy_classes)

    def ages(self, cohort: str) -> list[float]:
        """Lowest and highest age of a cohort's subjects; empty where no age is known."""
        known = []
        for scan in self.study.cohorts[cohort].scans:
            for name, value in scan.covariates.items():
                if name.lower() == "age":
                    with suppress(ValueError):
                        known.append(float(value))
        known = [age for age in known if math.isfinite(age) and age >= 0]
        return [min(known), max(known)] if known else []

    # The gate and the splits

    def checks(self, cohorts: Iterable[str]) -> list[str]:
        """What was found in the scans of cohorts."""
        return [
            self.layout.fill(places.CHECK, cohort=cohort, shard=shard)
            for cohort in cohorts
            for shard in self.shards[cohort]
        ]

    def odd(self, cohorts: Iterable[str]) -> dict[str, list[str]]:
        """What was odd when scans of cohorts were found."""
        return {name: list(self.study.cohorts[name].warnings) for name in cohorts}

    def gate(self, cohort: str) -> str:
        """What anything long waits for: all problems of all cohorts are known and accepted."""
        if self.roles[cohort] == "unlabelled":
            return self.layout.fill(places.CHECKED_SCREENED, cohort=cohort)
        return self.layout.path(places.CHECKED)

    def splits(self, cohorts: Iterable[str]) -> list[str]:
        """Tables of the subjects of cohorts."""
        return [self.layout.fill(places.SUBJECTS, cohort=cohort) for cohort in cohorts]

    # Which cohorts a protocol uses, and for what

    def healthy(self, protocol: str) -> list[str]:
        """Cohorts of a protocol on which operating points are found without labels of voxels."""
        return sorted(self.study.protocols[protocol].calibration_cohorts(self.roles))

    def whole(self, protocol: str) -> list[str]:
        """Those of them whose scans are healthy as wholes: slices of patients have no volume."""
        return [name for name in self.healthy(protocol) if self.roles[name] == "healthy"]

    def evaluated(self, protocol: str) -> list[str]:
        """Patient cohorts that a protocol reports on."""
        chosen = self.study.protocols[protocol].evaluation_cohorts
        return list(dict.fromkeys([*(chosen or self.named("patients")), *self.study.selection]))

    def judged(self, protocol: str) -> list[str]:
        """Those of them that say how well was chosen: without the ones that choose."""
        return [one for one in self.evaluated(protocol) if one not in self.study.selection]

    def looked_at(self, protocol: str, rule: Rule) -> list[str]:
        """Patient cohorts that a threshold rule is to look at."""
        named = rule.settings["cohorts"]
        return named or list(self.study.selection if is_synthetic(rule) else self.judged(protocol))

    def calibrating(self, protocol: str) -> list[str]:
        """Patient cohorts whose validation patients choose an operating point."""
        found: list[str] = []
        for rule in self.study.protocols[protocol].rules:
            if "cohorts" in rule.settings:
                found += self.looked_at(protocol, rule)
        return [name for name in dict.fromkeys(found) if self.study.validation[name]]

    def prior(self, cohort: str) -> str:
        """Sign of what is sought in a cohort."""
        return self.study.cohorts[cohort].prior

    def priors(self, protocol: str) -> list[str]:
        """Sign priors that a protocol's patient cohorts use (thresholds are found for each)."""
        names = [*self.evaluated(protocol), *self.calibrating(protocol)]
        return sorted({self.prior(name) for name in [*names, *self.named("unlabelled")]})


def _record(scan: Scan) -> dict[str, Any]:
    return {
        "cohort": scan.cohort,
        "subject": scan.subject,
        "session": scan.session,
        "images": dict(scan.images),
        "brain_mask": scan.brain_mask,
        "lesion_mask": scan.lesion_mask,
        "anatomy": scan.anatomy,
    }
