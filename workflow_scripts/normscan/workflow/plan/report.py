"""What figures, comparisons and the report take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.streams import MAIN
from normscan.workflow.configuration import Study
from normscan.workflow.introductions import appearance, introductions
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.jobs import Job, titled, variant_parts
from normscan.workflow.plan.patients import Patients
from normscan.workflow.plan.screening import Screening
from normscan.workflow.plan.selection import Selection
from normscan.workflow.protocol_approaches import NO_MODEL
from normscan.workflow.protocol_models import Model
from normscan.workflow.recipes import recipe, reference


class Report:
    """What is shown of a study."""

    def __init__(
        self,
        study: Study,
        layout: Layout,
        cohorts: Cohorts,
        detection: Detection,
        screening: Screening,
        selection: Selection,
        patients: Patients,
    ):
        self.study, self.layout, self.cohorts = study, layout, cohorts
        self.detection, self.screening, self.selection = detection, screening, selection
        self.patients = patients

    def approaches(self, protocol: str) -> list[dict[str, Any]]:
        """Approaches in the order of the protocol, as figures label them."""
        return [self._approach(protocol, job) for job in self.detection.jobs(protocol)]

    def _approach(self, protocol: str, job: Job) -> dict[str, Any]:
        name, share = variant_parts(job.variant)
        approach = self.study.protocols[protocol].approaches[name]
        models = self.detection.training.models
        model = None if approach.model == NO_MODEL else models[approach.model]
        return {
            "variant": job.variant,
            "name": approach.title,
            "published": approach.published or approach.title,
            "share": share,
            "title": titled(approach.title, share),
            # Fused approaches share no model; each has a colour of its own.
            "model": approach.name if approach.parts else approach.model,
            "network": model.settings.get("network", "") if model else "",
            "detector": approach.detector,
            "settings": {
                "detector": approach.detector,
                **approach.settings,
                **{f"uses.{role}": one for role, one in approach.uses.items()},
                **{f"model.{key}": value for key, value in self._of_model(model).items()},
            },
            **appearance(model.family if model else "", approach.detector),
            "training_free": not approach.models,
            "signed": self.detection.described(job.variant)["signed"],
            "seed": job.seed,
            "folder": places.JOB.format(**job.wildcards()),
        }

    @staticmethod
    def _of_model(model: Model | None) -> dict[str, Any]:
        """All that a model is made of."""
        if model is None:
            return {}
        sides = {"inputs": model.inputs, "targets": model.targets, "neighbours": model.neighbours}
        return {"family": model.family, **model.settings, **sides, "uses": model.uses}

    def curves(self, w, template: str = places.CURVES) -> list[str]:
        """Curves of a cohort, or what else is evaluated, in the order of :meth:`approaches`."""
        jobs = self.detection.jobs(w.protocol)
        return [self.layout.fill(template, **j.wildcards(), cohort=w.cohort) for j in jobs]

    def _detected(self, protocol: str, cohort: str) -> list[str]:
        return [
            self.layout.fill(places.DETECTED, **job.wildcards(), cohort=cohort, shard=shard)
            for job in self.detection.first_jobs(protocol)
            for shard in self.cohorts.shards[cohort]
        ]

    def maps(self, w) -> list[str]:
        """Detections that rows of slices are drawn from: every variant by its first seed."""
        return self._detected(w.protocol, w.cohort)

    def compared_maps(self, w) -> list[str]:
        """Detections of every cohort that approaches are shown side by side with."""
        cohorts = self.cohorts.evaluated(w.protocol)
        return [path for cohort in cohorts for path in self._detected(w.protocol, cohort)]

    def _trained(self, jobs: Iterable[Job]) -> dict[str, dict[str, Any]]:
        """Description -> ``model`` and ``seed`` of all models that jobs apply."""
        found = {}
        for job in jobs:
            path = self.detection.model_file(places.BUNDLE, job.protocol, job.variant, job.seed)
            if path:
                model = self.detection.approach_of(job.variant).model
                found[path] = {"model": model, "seed": job.seed}
        return found

    def _curve(self, description: str) -> str:
        """The training curve of a model that is described there."""
        return self.layout.fill(places.CURVE, **places.parse(places.BUNDLE, description))

    def _all_trained(self) -> dict[str, dict[str, Any]]:
        """The same of all protocols."""
        return self._trained(j for name in self.study.protocols for j in self.detection.jobs(name))

    def compared_models(self, w) -> list[str]:
        """Descriptions of the models of a protocol, by their first seed."""
        jobs = self.detection.first_jobs(w.protocol)
        return list(self._trained(jobs))

    def compared_names(self, w) -> list[str]:
        """The models that :meth:`compared_models` describe."""
        jobs = self.detection.first_jobs(w.protocol)
        return [one["model"] for one in self._trained(jobs).values()]

    def compared_tuned(self, w) -> dict[str, str]:
        """What was found on healthy scans for approaches of a protocol, by their first seed."""
        found = {}
        for job in self.detection.first_jobs(w.protocol):
            if path := self.detection.tuned_file(w.protocol, job.variant, job.seed):
                found[path] = self._approach(w.protocol, job)["title"]
        return found

    def lesion_labels(self, w) -> dict[str, list[int]]:
        """Mask labels that count as lesion, of every cohort that a protocol evaluates."""
        return {
            cohort: self.cohorts.lesion_labels(cohort)
            for cohort in self.cohorts.evaluated(w.protocol)
        }

    def studies(self, template: str) -> list[str]:
        """Comparisons of the approaches of every protocol that evaluates any cohort."""
        return [
            self.layout.fill(template, protocol=protocol)
            for protocol in self.study.protocols
            if self.cohorts.evaluated(protocol)
        ]

    def inputs(self) -> dict[str, Any]:
        """Everything the report shows."""
        protocols = self.study.protocols
        jobs = [job for name in protocols for job in self.detection.jobs(name)]
        models = self._all_trained()
        return {
            "metrics": self.layout.path(places.METRICS),
            "checks": self.layout.path(places.CHECKED),
            "subjects": self.cohorts.splits(self._used(*protocols)),
            "pairs": self.cohorts.pairs(),
            "figures": [
                self.layout.fill(places.FIGURES, protocol=name, cohort=cohort)
                for name in protocols
                for cohort in self.cohorts.evaluated(name)
            ],
            "studies": self.studies(places.STUDY_FIGURES),
            "patients": self.studies(places.STUDY_PATIENTS),
            "classes": self.studies(places.STUDY_CLASSES),
            "tests": self.studies(places.STUDY_TESTS),
            "ranks": self.studies(places.STUDY_RANKS),
            "beside": self.studies(places.STUDY_BESIDE),
            "selection": self.selection.of_protocols(places.SELECTION),
            "quality": [
                self.layout.fill(places.QUALITY, protocol=name, cohort=cohort)
                for name in protocols
                for cohort in self._used(name)
            ],
            "curves": [self._curve(path) for path in models],
            "models": list(models),
            "thresholds": [self.layout.fill(places.THRESHOLDS, **job.wildcards()) for job in jobs],
            "tuned": list(self.tuned()),
            "bundles": self.screening.bundles(),
            "pages": [self.layout.path(one["page"]) for one in self.patients.pages()],
        }

    def tuned(self) -> dict[str, str]:
        """Settings that were found on healthy scans: file -> whose, in words."""
        found = {}
        for name in self.study.protocols:
            for job in self.detection.jobs(name):
                path = self.detection.tuned_file(name, job.variant, job.seed)
                if path:
                    found[path] = f"{self._approach(name, job)['title']}, seed {job.seed}"
        return found

    def _used(self, *protocols: str) -> list[str]:
        """Cohorts that protocols train on or evaluate."""
        return [
            name
            for name in self.cohorts.named("healthy", "patients")
            if set(protocols) & set(self.cohorts.users(name))
        ]

    def run_record(self) -> dict[str, Any]:
        """What the report says of the run; no times, so that equal runs give equal reports.

        A scan that is screened by itself is no part of it.
        """
        study = self.study
        return {
            "title": study.title,
            "simulated": bool(study.simulation),
            "synthetic": bool(study.synthetic),
            "config": study.source,
            "on_bad_scan": study.on_bad_scan,
            "on_flagged": study.on_flagged,
            "excluded": {
                name: scans for name, scans in study.excluded.items() if name != study.one_scan
            },
            "results": str(study.results),
            "orientation": study.figures["orientation"],
            "cohorts": {
                name: {
                    "role": cohort.role,
                    "prior": cohort.prior,
                    "skull_stripped": cohort.skull_stripped,
                    "space": cohort.space,
                    "scans": len(cohort.scans),
                    "contrasts": sorted({c for scan in cohort.scans for c in scan.images}),
                }
                for name, cohort in study.cohorts.items()
                if name != study.one_scan
            },
            "protocols": {name: self._protocol_record(name) for name in study.protocols},
            "plugins": introductions(recipe(spec) for spec in study.protocols.values()),
            # As the report's inputs ``curves`` and ``models`` are ordered.
            "trained": list(self._all_trained().values()),
            "seeds": list(study.seeds),
            "tuned": self.tuned(),
            "patients": self.patients.pages(),
            "device": study.device,
        }

    def _protocol_record(self, name: str) -> dict[str, Any]:
        spec = self.study.protocols[name]
        streams = spec.training_streams(self.cohorts.roles)
        return {
            "description": spec.description,
            "citation": spec.citation,
            "source": spec.source,
            "recipe": recipe(spec),
            "reference": reference(spec),
            "used": self._used(name),
            "postprocessing": spec.postprocessing,
            "cohorts": self.cohorts.evaluated(name),
            "training_cohorts": list(streams[MAIN].cohorts or ()),
            "calibrated_on_patients": [
                cohort
                for cohort in self.cohorts.healthy(name)
                if self.cohorts.roles[cohort] == "patients"
            ],
            "streams": {stream: one.record() for stream, one in streams.items()},
            "approaches": self.approaches(name),
            "rules": [rule.label for rule in spec.rules],
        }
