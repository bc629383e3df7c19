"""What the rules of detection take: approaches, their models, and the jobs of a protocol."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.jobs import Job, variant_label, variant_parts
from normscan.workflow.plan.preprocessing import Preprocessing
from normscan.workflow.plan.training import Training
from normscan.workflow.protocol_approaches import NO_MODEL, Approach
from normscan.workflow.protocol_fused import describe

AUTO = "auto"


class Detection:
    """Approaches of a study.

    Attributes
    ----------
    approaches : name -> approach (names mean the same in every protocol).
    """

    def __init__(
        self, study: Study, layout: Layout, preprocessing: Preprocessing, training: Training
    ):
        self.study, self.layout = study, layout
        self.preprocessing, self.training = preprocessing, training
        self.approaches: dict[str, Approach] = {}
        for protocol in study.protocols.values():
            self.approaches |= protocol.approaches
        self.jobs = cache(self.jobs)
        self._set = cache(self._set)
        self._described = cache(describe)

    def jobs(self, protocol: str) -> list[Job]:
        """Every (variant, seed) of a protocol; what needs no model has one seed and one share.

        So has what is fused of all seeds one seed.
        """
        spec = self.study.protocols[protocol]
        found = []
        for approach in spec.approaches.values():
            free = not approach.models
            once = free or (bool(approach.parts) and approach.settings["seeds"] == "all")
            for share in [100] if free else spec.shares:
                for seed in self.study.seeds[:1] if once else self.study.seeds:
                    found.append(Job(protocol, variant_label(approach.name, share), seed))
        return found

    def detected_jobs(self, protocol: str) -> list[Job]:
        """Those that a detector makes maps for: all but fused ones."""
        return [job for job in self.jobs(protocol) if not self.approach_of(job.variant).parts]

    def first_jobs(self, protocol: str) -> list[Job]:
        """Every variant of a protocol by its first seed."""
        return [job for job in self.jobs(protocol) if job.seed == self.study.seeds[0]]

    def approach_of(self, variant: str) -> Approach:
        """The approach behind a variant."""
        return self.approaches[variant_parts(variant)[0]]

    def described(self, variant: str) -> dict[str, Any]:
        """What the detector behind a variant says of itself."""
        return self._described(self.approach_of(variant).detector)

    def is_free(self, approach: str) -> bool:
        """Whether an approach needs no model."""
        return not self.approaches[approach].models

    # Where things stand

    def where(self, protocol: str, variant: str, seed: int | str) -> SimpleNamespace:
        """What the maps of a variant are called by; protocols with equal settings share them."""
        chain, pack, training = self._set(protocol, variant)
        approach = variant_parts(variant)[0]
        return SimpleNamespace(
            chain=chain, pack=pack, training=training, approach=approach, seed=seed
        )

    def _set(self, protocol: str, variant: str) -> tuple[str, str, str]:
        """Chain, pack and training set of a variant."""
        name, share = variant_parts(variant)
        models = self.approaches[name].models
        training = self.training.label(protocol, share, models) if models else NO_MODEL
        return self.preprocessing.chain[protocol], self.preprocessing.pack[protocol], training

    def map_file(self, template: str, protocol: str, variant: str, seed: int | str, **more) -> str:
        """A file of the maps of a variant."""
        return self.layout.fill(template, **vars(self.where(protocol, variant, seed)), **more)

    def map_manifest(self, w) -> str:
        """Anomaly maps of one shard, as a protocol names them."""
        shard = {"cohort": w.cohort, "shard": w.shard}
        return self.map_file(places.MAP_MANIFEST, w.protocol, w.variant, w.seed, **shard)

    def tuned_file(self, protocol: str, variant: str, seed: int | str) -> str:
        """Settings of a variant that are found on healthy scans; empty where none are."""
        if not self.tunes(variant_parts(variant)[0]):
            return ""
        return self.map_file(places.TUNED, protocol, variant, seed)

    def model_file(self, template: str, protocol: str, variant: str, seed: int | str) -> str:
        """A file of the model that a variant applies; empty where it has none of its own."""
        approach = self.approach_of(variant)
        if approach.model == NO_MODEL:
            return ""
        return self.training.file(template, self.where(protocol, variant, seed), approach.model)

    # Files

    def tunes(self, approach: str) -> bool:
        """Whether an approach has settings that are found on healthy scans."""
        return AUTO in self.approaches[approach].settings.values()

    def model(self, w) -> dict[str, str | list[str]]:
        """Weights and descriptions of an approach's model and of those that its detector uses."""
        approach = self.approaches[w.approach]
        found: dict[str, str | list[str]] = dict(self.training.used(w, approach.uses))
        if approach.model != NO_MODEL:
            found |= {
                "weights": self.training.file(places.WEIGHTS, w, approach.model),
                "bundle": self.training.file(places.BUNDLE, w, approach.model),
            }
        return found

    def tuned(self, w) -> dict[str, str]:
        """Detector settings that are found on healthy scans first, when any is ``auto``."""
        if not self.tunes(w.approach):
            return {}
        where = {key: getattr(w, key) for key in ("chain", "pack", "training", "approach", "seed")}
        return {"tuned": self.layout.fill(places.TUNED, **where)}

    def chosen(self, w) -> dict[str, str]:
        """Splits of a cohort of which the model was trained on a part, which gets no maps.

        Of healthy cohorts no approach looks at more than the validation subjects.
        """
        trained = (
            w.training in self.training.sets
            and w.cohort in self.training.sets[w.training].cohorts()
        )
        if not trained and self.training.cohorts.roles[w.cohort] != "healthy":
            return {}
        return {"subjects": self.layout.fill(places.SUBJECTS, cohort=w.cohort)}

    # Parameters

    def detector(self, w) -> str:
        """Name of an approach's detector."""
        return self.approaches[w.approach].detector

    def settings(self, w) -> dict[str, Any]:
        """Settings of an approach's detector."""
        return self.approaches[w.approach].settings

    def uses(self, w) -> list[str]:
        """Roles of the further models that an approach's detector uses."""
        return list(self.approaches[w.approach].uses)

    def cost(self, approach: str) -> float:
        """Time that a scan takes, as the detector and its model's family say it."""
        found = self.approaches[approach]
        own = self._described(found.detector)["cost"]
        model = self.training.cost(found.model) if found.model != NO_MODEL else 1.0
        return max(1.0, own * model)

    def modules(self, approach: str) -> list[str]:
        """What an approach's code is made of besides what its script imports."""
        found = self.approaches[approach]
        names = [f"normscan.detectors.{found.detector}"]
        for model in found.models:
            names += self.training.modules(model)
        return list(dict.fromkeys(names))
