"""What the rules of anatomical fidelity take: reconstructions, and the model that judges them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.jobs import Job, titled, variant_parts
from normscan.workflow.plan.training import Training
from normscan.workflow.protocol_anatomy import anatomy_classes, anatomy_cohorts


class Fidelity:
    """Fidelity of the reconstructions of a study's protocols.

    One segmentation judges all approaches of a protocol: trained on all of its subjects, with the
    study's first seed, whatever share and seed an approach has.
    """

    def __init__(
        self,
        study: Study,
        layout: Layout,
        cohorts: Cohorts,
        training: Training,
        detection: Detection,
    ):
        self.study, self.layout, self.cohorts = study, layout, cohorts
        self.training, self.detection = training, detection

    def protocols(self) -> list[str]:
        """Those that have reconstructions judged."""
        return [name for name, one in self.study.protocols.items() if one.fidelity]

    def model(self, w) -> dict[str, str]:
        """Weights and description of a protocol's segmentation."""
        name, preprocessing = self.study.protocols[w.protocol].fidelity, self.training.preprocessing
        where = SimpleNamespace(
            chain=preprocessing.chain[w.protocol],
            pack=preprocessing.pack[w.protocol],
            training=self.training.label(w.protocol, 100, [name]),
            seed=self.study.seeds[0],
        )
        files = {"weights": places.WEIGHTS, "bundle": places.BUNDLE}
        return {key: self.training.file(one, where, name) for key, one in files.items()}

    def classes(self, protocol: str) -> list[str]:
        """Names of the classes that a protocol's segmentation finds."""
        spec = self.study.protocols[protocol]
        first = anatomy_cohorts(spec, spec.fidelity, self.cohorts.roles)[0]
        return anatomy_classes(spec, self.study.cohorts[first])

    def modules(self, protocol: str) -> list[str]:
        """What the code of a protocol's segmentation is made of besides what scripts import."""
        return self.training.modules(self.study.protocols[protocol].fidelity)

    def scores(self, w) -> list[str]:
        """Scores of all shards of a cohort."""
        where: dict[str, Any] = {"protocol": w.protocol, "variant": w.variant, "seed": w.seed}
        return [
            self.layout.fill(places.FIDELITY_SCORES, **where, cohort=w.cohort, shard=shard)
            for shard in self.cohorts.shards[w.cohort]
        ]

    def compared(self, w) -> dict[str, Any]:
        """Maps of a protocol's approaches (by their first seed, then by shard) and packs."""
        shards, preprocessing = list(self.cohorts.shards[w.cohort]), self.training.preprocessing
        where = {"protocol": w.protocol, "cohort": w.cohort}
        places_of = [SimpleNamespace(**where, shard=shard) for shard in shards]
        return {
            "maps": [
                self.detection.map_manifest(SimpleNamespace(**{**job.wildcards(), **vars(one)}))
                for job in self._first_jobs(w.protocol)
                for one in places_of
            ],
            "indices": [preprocessing.index(one) for one in places_of],
        }

    def _first_jobs(self, protocol: str) -> list[Job]:
        """Every variant that a detector makes maps for, by its first seed."""
        jobs = self.detection.detected_jobs(protocol)
        return [job for job in jobs if job.seed == self.study.seeds[0]]

    def titles(self, protocol: str) -> list[str]:
        """Approaches as figures call them, in the order of :meth:`compared`."""
        jobs, spec = self._first_jobs(protocol), self.study.protocols[protocol]
        parts = [variant_parts(job.variant) for job in jobs]
        return [titled(spec.approaches[name].title, share) for name, share in parts]

    def examples(self, w) -> list[str]:
        """What is shown of a cohort's reconstructions; nothing where they are not judged."""
        if not self.study.protocols[w.protocol].fidelity:
            return []
        where = {"protocol": w.protocol, "cohort": w.cohort}
        return [self.layout.fill(places.FIDELITY_EXAMPLE, **where)]

    def tables(self) -> list[str]:
        """Every evaluation of reconstructions."""
        return [
            self.layout.fill(places.FIDELITY, **job.wildcards(), cohort=cohort)
            for protocol in self.protocols()
            for cohort in self.cohorts.evaluated(protocol)
            for job in self.detection.detected_jobs(protocol)
        ]
