"""What the rule that judges choices without labels takes."""

from __future__ import annotations

from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection


class Selection:
    """Choices of a study's protocols on its synthetic cohorts."""

    def __init__(self, study: Study, layout: Layout, cohorts: Cohorts, detection: Detection):
        self.study, self.layout = study, layout
        self.cohorts, self.detection = cohorts, detection

    def protocols(self) -> list[str]:
        """Protocols whose approaches are chosen among; none without cohorts that choose."""
        return list(self.study.protocols) if self.study.selection else []

    def records(self, protocol: str) -> list[dict[str, str]]:
        """Whose scores :meth:`histograms` hold: variant, seed, cohort of each, in their order."""
        return [
            {"variant": job.variant, "seed": str(job.seed), "cohort": cohort}
            for job, cohort, _ in self._scores(protocol)
        ]

    def histograms(self, protocol: str) -> list[str]:
        """Score histograms of the cohorts that choose, each under its own prior."""
        return [
            self.layout.fill(
                places.HISTOGRAMS,
                **job.wildcards(),
                prior=self.cohorts.prior(cohort),
                cohort=cohort,
                shard=shard,
            )
            for job, cohort, shard in self._scores(protocol)
        ]

    def thresholds(self, protocol: str) -> list[str]:
        """Operating points of every variant and seed, in the order of the plan's jobs."""
        jobs = self.detection.jobs(protocol)
        return [self.layout.fill(places.THRESHOLDS, **job.wildcards()) for job in jobs]

    def jobs(self, protocol: str) -> list[dict[str, str]]:
        """Variant and seed of each of :meth:`thresholds`."""
        jobs = self.detection.jobs(protocol)
        return [{"variant": job.variant, "seed": str(job.seed)} for job in jobs]

    def priors(self, protocol: str) -> dict[str, str]:
        """Sign prior of every cohort that chooses or that a choice is judged on."""
        return {name: self.cohorts.prior(name) for name in self.cohorts.evaluated(protocol)}

    def of_protocols(self, template: str) -> list[str]:
        """A template's paths for all protocols that choose."""
        return [self.layout.fill(template, protocol=name) for name in self.protocols()]

    def _scores(self, protocol: str) -> list[tuple[Any, str, str]]:
        return [
            (job, cohort, shard)
            for job in self.detection.jobs(protocol)
            for cohort in self.study.selection
            for shard in self.cohorts.shards[cohort]
        ]
