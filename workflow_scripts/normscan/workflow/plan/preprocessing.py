"""What the rules of preprocessing and packing take: chains of steps, and slice packs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from normscan import layout as places
from normscan.cohorts.scans import CONTRASTS
from normscan.files import value_digest
from normscan.layout import RAW, Layout
from normscan.plugins import literals
from normscan.workflow.configuration import Study
from normscan.workflow.declared import LIBRARY
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.protocols import Protocol, Step


def pack_label(contrasts: Iterable[str], slices: dict, defaults: dict) -> str:
    """The slice pack in paths: ``FLAIR-128``, with a digest when other settings differ."""
    label = "-".join([*contrasts, str(slices["size"])])
    others = {key: value for key, value in slices.items() if key != "size"}
    usual = {key: value for key, value in defaults.items() if key != "size"}
    return label if others == usual else f"{label}-{value_digest(others)[:4]}"


class Preprocessing:
    """Chains and packs of a study's protocols.

    Attributes
    ----------
    steps : label -> step.
    chain, pack : protocol -> label.
    packs : (chain, pack) -> a protocol that has it.
    """

    def __init__(self, study: Study, layout: Layout, cohorts: Cohorts):
        self.study, self.layout, self.cohorts = study, layout, cohorts
        self.steps: dict[str, Step] = {}
        self.packs: dict[tuple[str, str], Protocol] = {}
        self.chain: dict[str, str] = {}
        self.pack: dict[str, str] = {}
        defaults = literals(LIBRARY / "slices" / "pack.py")["SETTINGS"]
        for name, protocol in study.protocols.items():
            self.steps |= {step.label: step for step in protocol.steps}
            self.chain[name] = "+".join([RAW, *(step.label for step in protocol.steps)])
            self.pack[name] = pack_label(protocol.contrasts, protocol.slices, defaults)
            self.packs[self.chain[name], self.pack[name]] = protocol

    # Steps

    def needed_atlases(self) -> list[str]:
        """Names of the atlases that steps of any protocol ask for."""
        names = (step.settings.get("atlas") for step in self.steps.values())
        return sorted({name for name in names if name})

    def settings(self, w) -> dict[str, Any]:
        """The settings of the step that a label stands for."""
        return self.steps[w.step].settings

    def contrasts(self, w) -> list[str]:
        """Contrasts to carry through a step: those needed and the reference of any step."""
        chain, needed = f"{w.parent}+{w.step}", set()
        for name in self.cohorts.users(w.cohort):
            mine, protocol = self.chain[name], self.study.protocols[name]
            if mine == chain or mine.startswith(chain + "+"):
                references = {step.settings.get("reference") for step in protocol.steps}
                needed |= {*protocol.contrasts, *(set(CONTRASTS) & references)}
        return sorted(needed)

    def context(self, cohort: str) -> dict[str, Any]:
        """What registration and skull stripping must know of a cohort."""
        found = self.study.cohorts[cohort]
        return {"skull_stripped": found.skull_stripped, "cohort_space": found.space}

    def histogram_reference(self, w) -> str:
        """Manifest of the shard of the scan to match, which was looked up before."""
        cohort, _, scan = self.settings(w)["reference"].partition("/")
        shards = self.cohorts.shards[cohort].items()
        shard = next(shard for shard, scans in shards if scan in {one.id for one in scans})
        return self.layout.fill(places.PREPARED, chain=w.parent, cohort=cohort, shard=shard)

    def histogram_subjects(self, w) -> str:
        """Splits of the cohort of the scan to match."""
        cohort = self.settings(w)["reference"].partition("/")[0]
        return self.layout.fill(places.SUBJECTS, cohort=cohort)

    def fingerprint(self, chain: str) -> list[dict[str, Any]]:
        """The steps of a chain with all their settings: what scans must have in common."""
        steps = [self.steps[label] for label in chain.split("+")[1:]]
        return [{"step": step.kind, **step.settings} for step in steps]

    def prepared(self, chain: str, cohort: str) -> list[str]:
        """Manifests of all shards of a cohort after a chain of steps."""
        return [
            self.layout.fill(places.PREPARED, chain=chain, cohort=cohort, shard=shard)
            for shard in self.cohorts.shards[cohort]
        ]

    # Packs

    def pack_settings(self, w) -> dict[str, Any]:
        """How slices are packed."""
        return self.packs[w.chain, w.pack].slices

    def pack_contrasts(self, w) -> list[str]:
        """Contrasts in a pack."""
        return list(self.packs[w.chain, w.pack].contrasts)

    def pack_fingerprint(self, protocol: str) -> dict[str, Any]:
        """What a scan must have in common with the scans a bundle was made from."""
        spec = self.study.protocols[protocol]
        return {
            "preprocessing": self.fingerprint(self.chain[protocol]),
            "contrasts": list(spec.contrasts),
            "slices": spec.slices,
        }

    def packed(self, chain: str, pack: str, cohorts: Iterable[str]) -> list[str]:
        """Indices of the slice packs of cohorts (the arrays stand beside them)."""
        return [
            self.layout.fill(places.INDEX, chain=chain, pack=pack, cohort=cohort, shard=shard)
            for cohort in cohorts
            for shard in self.cohorts.shards[cohort]
        ]

    def index(self, w) -> str:
        """Index of the slice pack of one shard, as a protocol makes it."""
        return self._of_pack(places.INDEX, w)

    def slices(self, w) -> str:
        """Slices of one shard."""
        return self._of_pack(places.SLICES, w)

    def _of_pack(self, template: str, w) -> str:
        chain, pack = self.chain[w.protocol], self.pack[w.protocol]
        where = {"chain": chain, "pack": pack, "cohort": w.cohort, "shard": w.shard}
        return self.layout.fill(template, **where)

    def all_packs(self) -> list[str]:
        """Slice packs of all cohorts, the unlabelled ones as well, for the protocols they serve."""
        found = []
        for name in self.study.protocols:
            used = self.cohorts.used(name)
            found += self.packed(self.chain[name], self.pack[name], used)
        return list(dict.fromkeys(found))
