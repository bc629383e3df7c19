"""What the pages of test patients take."""

from __future__ import annotations

from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.introductions import appearance
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.jobs import titled, variant_parts


class Patients:
    """Pages of every protocol and cohort that it is judged on; every variant by its first seed."""

    def __init__(self, study: Study, layout: Layout, cohorts: Cohorts, detection: Detection):
        self.study, self.layout, self.cohorts, self.detection = study, layout, cohorts, detection

    def pages(self) -> list[dict[str, str]]:
        """``protocol``, ``cohort`` and ``page`` (path below the results) of every index."""
        return [
            {
                "protocol": protocol,
                "cohort": cohort,
                "page": places.PATIENTS_PAGE.format(protocol=protocol, cohort=cohort),
            }
            for protocol in self.study.protocols
            for cohort in self.cohorts.judged(protocol)
        ]

    def report(self) -> str:
        """The report as a link of these pages."""
        return "../" * places.PATIENTS_PAGE.count("/") + places.REPORT

    def files(self, w) -> dict[str, list[str]]:
        """Metrics and thresholds of the approaches in order, and detections of all shards."""
        jobs = self.detection.first_jobs(w.protocol)
        fill = self.layout.fill
        return {
            "metrics": [fill(places.EVALUATION, **j.wildcards(), cohort=w.cohort) for j in jobs],
            "thresholds": [fill(places.THRESHOLDS, **j.wildcards()) for j in jobs],
            "quality": [fill(places.QUALITY, protocol=w.protocol, cohort=w.cohort)],
            "detected": [
                fill(places.DETECTED, **job.wildcards(), cohort=w.cohort, shard=shard)
                for job in jobs
                for shard in self.cohorts.shards[w.cohort]
            ],
        }

    def approaches(self, w) -> list[dict[str, Any]]:
        """What pages say of the approaches, in order."""
        found = []
        for job in self.detection.first_jobs(w.protocol):
            name, share = variant_parts(job.variant)
            approach = self.study.protocols[w.protocol].approaches[name]
            found.append(
                {
                    "protocol": w.protocol,
                    "variant": job.variant,
                    "title": titled(approach.title, share),
                    "model": approach.model,
                    "detector": approach.detector,
                    "expected": appearance("", approach.detector)["expected"],
                    "seed": job.seed,
                    "postprocessing": self.study.protocols[w.protocol].postprocessing,
                }
            )
        return found
