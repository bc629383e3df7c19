"""What figures, comparisons and the report take."""

from __future__ import annotations

from typing import Any

from normscan.workflow.inputs import Inputs
from normscan.workflow.plan import Job, variant_parts
from normscan.workflow.protocols import NO_MODEL, Protocol
from normscan.workflow.recipes import recipe, reference


class ReportInputs(Inputs):
    """The plan with what the last rules ask as well: all a rule needs to know."""

    def figure_approaches(self, protocol: str) -> list[dict[str, Any]]:
        """Approaches in the order of the protocol, as figures label them."""
        return [self._figure_approach(protocol, job) for job in self.jobs(protocol)]

    def _figure_approach(self, protocol: str, job: Job) -> dict[str, Any]:
        name, share = variant_parts(job.variant)
        approach = self.study.protocols[protocol].approaches[name]
        part = "" if share == 100 else f", {share:g} % of subjects"
        settings = {} if approach.model == NO_MODEL else self.model(approach.model).settings
        return {
            "variant": job.variant,
            "name": approach.title,
            "share": share,
            "title": approach.title + part,
            "model": approach.model,
            "network": settings.get("network", ""),
            "detector": approach.detector,
            "training_free": approach.model == NO_MODEL,
            "signed": self.is_signed(job.variant),
            "seed": job.seed,
            "folder": job.folder,
        }

    def figure_maps(self, protocol: str, cohort: str) -> list[str]:
        """Detections that rows of slices are drawn from: every variant by its first seed."""
        first = self.study.seeds[0]
        return [
            self.path("detections", job.folder, "detected", cohort, f"{shard}.json")
            for job in self.jobs(protocol)
            if job.seed == first
            for shard in self.shards[cohort]
        ]

    def compared_maps(self, protocol: str) -> list[str]:
        """Detections of every cohort that approaches are shown side by side with."""
        cohorts = self.evaluation_cohorts(protocol)
        return [path for cohort in cohorts for path in self.figure_maps(protocol, cohort)]

    def compared_models(self, protocol: str) -> list[str]:
        """Descriptions of the models of a protocol, by their first seed."""
        first = self.study.seeds[0]
        folders = {
            self.model_folder(job.protocol, job.variant, job.seed): None
            for job in self.jobs(protocol)
            if job.seed == first and self.approach(variant_parts(job.variant)[0]).model != NO_MODEL
        }
        return [f"{folder}/bundle.json" for folder in folders]

    def studies(self, *names: str) -> list[str]:
        """Comparisons of the approaches of every protocol that evaluates any cohort."""
        return [
            self.path("study", protocol, name)
            for protocol in self.study.protocols
            if self.evaluation_cohorts(protocol)
            for name in names
        ]

    def report_inputs(self) -> dict[str, Any]:
        """Everything the report shows."""
        pairs = [(p, c) for p in self.study.protocols for c in self.evaluation_cohorts(p)]
        used = self._used(*self.study.protocols.values())
        models = {
            self.model_folder(job.protocol, job.variant, job.seed): None
            for name in self.study.protocols
            for job in self.jobs(name)
            if self.approach(variant_parts(job.variant)[0]).model != NO_MODEL
        }
        return {
            "metrics": self.path("metrics.tsv"),
            "checks": self.path("cohorts/checked.json"),
            "subjects": [self.path("cohorts", name, "subjects.tsv") for name in used],
            "figures": [self.path("figures", p, c, "figures.json") for p, c in pairs],
            "studies": self.studies("figures.json"),
            "patients": self.studies("patients.tsv"),
            "tests": self.studies("tests.tsv"),
            "ranks": self.studies("published_ranks.tsv"),
            "beside": self.studies("published_beside.tsv"),
            "quality": [
                self.path("quality", p, name + ".json")
                for p, spec in self.study.protocols.items()
                for name in used
                if spec.uses(name, self.study.cohorts[name].role)
            ],
            "curves": [f"{folder}/curve.tsv" for folder in models],
            "models": [f"{folder}/bundle.json" for folder in models],
            "thresholds": [
                self.path("detections", job.folder, "thresholds.json")
                for name in self.study.protocols
                for job in self.jobs(name)
            ],
            "tuned": list(self.tuned()),
            "bundles": self.bundles(),
        }

    def tuned(self) -> dict[str, str]:
        """Settings that were found on healthy scans: file -> whose, in words."""
        return {
            f"{self.map_folder(name, job.variant, job.seed)}/tuned.json": (
                f"{self._figure_approach(name, job)['title']}, seed {job.seed}"
            )
            for name in self.study.protocols
            for job in self.jobs(name)
            if "auto" in self.approach(variant_parts(job.variant)[0]).settings.values()
        }

    def _used(self, *protocols: Protocol) -> list[str]:
        """Cohorts that protocols train on or evaluate."""
        return [
            name
            for name, cohort in self.study.cohorts.items()
            if cohort.role != "unlabelled" and any(one.uses(name, cohort.role) for one in protocols)
        ]

    def run_record(self, config: dict[str, Any]) -> dict[str, Any]:
        """What the report says of the run; no times, so that equal runs give equal reports."""
        study = self.study
        return {
            "title": study.title,
            "simulated": bool(study.simulation),
            "config": config,
            "on_bad_scan": study.on_bad_scan,
            "excluded": study.excluded,
            "results": str(study.results),
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
            },
            "protocols": {
                name: {
                    "description": spec.description,
                    "citation": spec.citation,
                    "source": spec.source,
                    "recipe": recipe(spec),
                    "reference": reference(spec),
                    "used": self._used(spec),
                    "postprocessing": spec.postprocessing,
                    "cohorts": self.evaluation_cohorts(name),
                    "training_cohorts": self.training_cohorts(name),
                    "approaches": self.figure_approaches(name),
                    "rules": [rule.label for rule in spec.rules],
                }
                for name, spec in study.protocols.items()
            },
            "seeds": list(study.seeds),
            "tuned": self.tuned(),
            "device": study.device,
        }
