"""Names and paths: what determines an artifact is what its path is made of.

A scan is registered once and a model trained once, whichever protocols use them, because a path
holds only what determines its content: the preprocessing chain, the slice pack, the training set,
the model, the seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from normscan.cohorts.scans import Scan
from normscan.cohorts.shards import shard_of
from normscan.files import value_digest
from normscan.plugins import literals
from normscan.workflow.configuration import Study
from normscan.workflow.protocols import LIBRARY, NO_MODEL, Approach, Model, Protocol, Step

RAW = "raw"


@dataclass(frozen=True)
class Job:
    """One (protocol, variant, seed): what detections are made for."""

    protocol: str
    variant: str
    seed: int

    @property
    def folder(self) -> str:
        """Where it stands in paths."""
        return f"{self.protocol}/{self.variant}/seed-{self.seed}"


def variant_label(approach: str, share: float) -> str:
    """An approach at a share of the training subjects: ``vae``, ``vae@10pct``."""
    return approach if share == 100 else f"{approach}@{share:g}pct"


def variant_parts(variant: str) -> tuple[str, float]:
    """The approach and the share (per cent) of a variant's label."""
    approach, _, share = variant.partition("@")
    return approach, float(share.removesuffix("pct")) if share else 100


def training_label(cohorts: Iterable[str], share: float) -> str:
    """The training set in paths: ``ixi``, ``camcan+ixi``, ``ixi-10pct``."""
    name = "+".join(sorted(cohorts))
    return name if share == 100 else f"{name}-{share:g}pct"


def pack_label(contrasts: Iterable[str], slices: dict, defaults: dict) -> str:
    """The slice pack in paths: ``FLAIR-128``, with a digest when other settings differ."""
    label = "-".join([*contrasts, str(slices["size"])])
    others = {key: value for key, value in slices.items() if key != "size"}
    usual = {key: value for key, value in defaults.items() if key != "size"}
    return label if others == usual else f"{label}-{value_digest(others)[:4]}"


class Plan:
    """Everything the rules ask for by wildcards, computed once from a :class:`Study`."""

    def __init__(self, study: Study):
        self.study = study
        slice_defaults = literals(LIBRARY / "slices" / "pack.py")["SETTINGS"]
        self.results = study.results
        self.steps: dict[str, Step] = {}
        self.packs: dict[tuple[str, str], Protocol] = {}
        self.chain: dict[str, str] = {}
        self.pack: dict[str, str] = {}
        self.shards: dict[str, dict[str, list[Scan]]] = {
            name: shard_of(cohort.scans, study.shard_size[name])
            for name, cohort in study.cohorts.items()
        }
        for protocol in study.protocols.values():
            self._add(protocol, slice_defaults)

    def _add(self, protocol: Protocol, slice_defaults: dict) -> None:
        chain = RAW
        for step in protocol.steps:
            self.steps[step.label] = step
            chain = f"{chain}+{step.label}"
        self.chain[protocol.name] = chain
        self.pack[protocol.name] = pack_label(protocol.contrasts, protocol.slices, slice_defaults)
        self.packs[chain, self.pack[protocol.name]] = protocol

    # Cohorts

    def cohorts(self, *roles: str) -> list[str]:
        """Names of the cohorts with one of the roles."""
        return [name for name, cohort in self.study.cohorts.items() if cohort.role in roles]

    def training_cohorts(self, protocol: str) -> list[str]:
        """Healthy cohorts that a protocol's models are trained on."""
        chosen = self.study.protocols[protocol].training_cohorts
        return sorted(self.cohorts("healthy") if chosen is None else chosen)

    def evaluation_cohorts(self, protocol: str) -> list[str]:
        """Patient cohorts that a protocol reports on."""
        chosen = self.study.protocols[protocol].evaluation_cohorts
        return list(chosen or self.cohorts("patients"))

    def calibration_cohorts(self, protocol: str) -> list[str]:
        """Patient cohorts whose validation patients choose an operating point."""
        rules = self.study.protocols[protocol].rules
        found: list[str] = []
        for rule in rules:
            if "cohorts" in rule.settings:
                found += rule.settings["cohorts"] or self.evaluation_cohorts(protocol)
        return [name for name in dict.fromkeys(found) if self.study.validation[name]]

    def priors(self, protocol: str) -> list[str]:
        """Sign priors that a protocol's patient cohorts use (thresholds are found for each)."""
        names = [*self.evaluation_cohorts(protocol), *self.calibration_cohorts(protocol)]
        names += self.cohorts("unlabelled")
        return sorted({self.study.cohorts[name].prior for name in names})

    # What is run

    def jobs(self, protocol: str) -> list[Job]:
        """Every (variant, seed) of a protocol; what needs no model has one seed and one share."""
        spec = self.study.protocols[protocol]
        found = []
        for approach in spec.approaches.values():
            free = approach.model == NO_MODEL
            for share in [100] if free else spec.shares:
                for seed in self.study.seeds[:1] if free else self.study.seeds:
                    found.append(Job(protocol, variant_label(approach.name, share), seed))
        return found

    def approach(self, name: str) -> Approach:
        """An approach by name (names mean the same in every protocol)."""
        for protocol in self.study.protocols.values():
            if name in protocol.approaches:
                return protocol.approaches[name]
        raise KeyError(name)

    def model(self, name: str) -> Model:
        """A model by name."""
        for protocol in self.study.protocols.values():
            if name in protocol.models:
                return protocol.models[name]
        raise KeyError(name)

    def training_set(self, protocol: str, share: float) -> str:
        """Label of a protocol's training set."""
        return training_label(self.training_cohorts(protocol), share)

    def training_members(self, label: str) -> tuple[list[str], float]:
        """Cohorts and share (per cent) of a training set's label."""
        for name, spec in self.study.protocols.items():
            for share in spec.shares:
                if self.training_set(name, share) == label:
                    return self.training_cohorts(name), share
        raise KeyError(label)

    # Paths

    def path(self, *parts: str) -> str:
        """A path below the results folder."""
        return str(Path(self.results, *parts))

    def prepared(self, chain: str, cohort: str) -> list[str]:
        """Manifests of all shards of a cohort after a chain of steps."""
        return [
            self.path("preprocessed", chain, cohort, f"{shard}.json")
            for shard in self.shards[cohort]
        ]

    def packed(self, chain: str, pack: str, cohorts: Iterable[str]) -> list[str]:
        """Indices of the slice packs of cohorts (the arrays stand beside them)."""
        return [
            self.path("slices", chain, pack, cohort, f"{shard}.json")
            for cohort in cohorts
            for shard in self.shards[cohort]
        ]

    def model_folder(self, protocol: str, variant: str, seed: int | str) -> str:
        """Folder of the model that a variant uses."""
        approach, share = variant_parts(variant)
        return self.path(
            "models",
            self.chain[protocol],
            self.pack[protocol],
            self.training_set(protocol, share),
            self.approach(approach).model,
            f"seed-{seed}",
        )

    def map_folder(self, protocol: str, variant: str, seed: int | str) -> str:
        """Folder of the anomaly maps of a variant; protocols with equal settings share it."""
        approach, share = variant_parts(variant)
        free = self.approach(approach).model == NO_MODEL
        return self.path(
            "maps",
            self.chain[protocol],
            self.pack[protocol],
            NO_MODEL if free else self.training_set(protocol, share),
            approach,
            f"seed-{seed}",
        )

    def filtered(self, job: Job, cohort: str, prior: str, suffix: str) -> list[str]:
        """Filtered maps (``.json``) or histograms (``.npz``) of a cohort, one per shard."""
        return [
            self.path("detections", job.folder, f"filtered-{prior}", cohort, shard + suffix)
            for shard in self.shards[cohort]
        ]
