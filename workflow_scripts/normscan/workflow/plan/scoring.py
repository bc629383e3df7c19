"""What the rules from maps to metrics take: filtered maps, thresholds, detections, evaluations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.jobs import Job


class Scoring:
    """Scores of a study's protocols."""

    def __init__(self, study: Study, layout: Layout, cohorts: Cohorts, detection: Detection):
        self.study, self.layout = study, layout
        self.cohorts, self.detection = cohorts, detection

    def shards(self, template: str, cohort: str, **where: str | int) -> list[str]:
        """A template's paths for all shards of a cohort."""
        return [
            self.layout.fill(template, cohort=cohort, shard=shard, **where)
            for shard in self.cohorts.shards[cohort]
        ]

    def of_prior(self, template: str, w, cohort: str, prior: str) -> list[str]:
        """What stands in the folder of a prior's filtered maps."""
        where = {"protocol": w.protocol, "variant": w.variant, "seed": w.seed, "prior": prior}
        return self.shards(template, cohort, **where)

    # Post-processing

    def postprocessing(self, w) -> dict[str, Any]:
        """How a protocol filters maps and joins detections."""
        return self.study.protocols[w.protocol].postprocessing

    def filtered(self, w) -> str:
        """Filtered maps of one shard under its cohort's prior."""
        where = {"protocol": w.protocol, "variant": w.variant, "seed": w.seed, "shard": w.shard}
        prior = self.cohorts.prior(w.cohort)
        return self.layout.fill(places.FILTERED, **where, cohort=w.cohort, prior=prior)

    def applied_prior(self, w) -> str:
        """Sign of what counts in filtered maps: the protocol's, where it has one, or the cohort's.

        A map without a sign says nothing about brighter or darker: all of it counts.
        """
        own = self.postprocessing(w).get("prior")
        return (own or w.prior) if self.is_signed(w.variant) else "none"

    def primary_rule(self, protocol: str) -> str:
        """The threshold rule at which detections are made."""
        return self.study.protocols[protocol].rules[0].label

    # Operating points

    def healthy_histograms(self, w) -> list[str]:
        """Score histograms of healthy scans under every prior in use."""
        return [
            path
            for prior in self.cohorts.priors(w.protocol)
            for cohort in self.cohorts.healthy(w.protocol)
            for path in self.of_prior(places.HISTOGRAMS, w, cohort, prior)
        ]

    def validation_histograms(self, w) -> list[str]:
        """Score histograms of the patient cohorts that calibrate operating points."""
        return [
            path
            for cohort in self.cohorts.calibrating(w.protocol)
            for path in self.of_prior(places.HISTOGRAMS, w, cohort, self.cohorts.prior(cohort))
        ]

    def calibration_subjects(self, w) -> list[str]:
        """Split tables of all cohorts that thresholds are found on."""
        names = [*self.cohorts.healthy(w.protocol), *self.cohorts.calibrating(w.protocol)]
        return self.cohorts.splits(names)

    def rule_records(self, protocol: str) -> list[dict[str, Any]]:
        """Threshold rules as plain values, with the cohorts that calibrate them filled in."""
        calibrating = self.cohorts.calibrating(protocol)
        records = []
        for rule in self.study.protocols[protocol].rules:
            settings = dict(rule.settings)
            if "cohorts" in settings:
                chosen = self.cohorts.looked_at(protocol, rule)
                settings["cohorts"] = [name for name in chosen if name in calibrating]
            records.append({"label": rule.label, "kind": rule.kind, "settings": settings})
        return records

    def calibration_priors(self, protocol: str) -> dict[str, str]:
        """Sign prior of every patient cohort that calibrates operating points."""
        calibrating = self.cohorts.calibrating(protocol)
        return {name: self.cohorts.prior(name) for name in calibrating}

    # Evaluation

    def evaluated(self, w, template: str = places.HISTOGRAMS) -> list[str]:
        """Score histograms of a patient cohort under its own prior, or what stands beside them."""
        return self.of_prior(template, w, w.cohort, self.cohorts.prior(w.cohort))

    def is_residual(self, variant: str) -> bool:
        """Whether a variant's maps are residuals of a reconstruction, as its detector says."""
        return self.detection.described(variant)["residual"]

    def is_signed(self, variant: str) -> bool:
        """Whether the sign of a variant's maps says brighter or darker, as its detector says."""
        return self.detection.described(variant)["signed"]

    def scores(self, w, template: str = places.SCORES) -> list[str]:
        """Segmentation scores of a patient cohort, or what else stands beside them."""
        where = {"protocol": w.protocol, "variant": w.variant, "seed": w.seed}
        return self.shards(template, w.cohort, **where)

    def of_jobs(self, template: str, jobs: Iterable[Job], **where: str) -> list[str]:
        """A template's paths for some jobs."""
        return [self.layout.fill(template, **job.wildcards(), **where) for job in jobs]

    def tables(self) -> list[str]:
        """Every evaluation of every protocol."""
        return [
            path
            for protocol in self.study.protocols
            for cohort in self.cohorts.evaluated(protocol)
            for path in self.of_jobs(
                places.EVALUATION, self.detection.jobs(protocol), cohort=cohort
            )
        ]
