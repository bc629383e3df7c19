"""What the rules of fused approaches take: their parts' filtered maps, and healthy scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.jobs import Job, variant_label, variant_parts
from normscan.workflow.plan.scoring import Scoring
from normscan.workflow.protocol_fused import weights_of

NOTHING = r"(?!)"


def any_of(names: Iterable[str]) -> str:
    """Expression for any of some names."""
    return f"(?:{'|'.join(map(re.escape, sorted(names))) or NOTHING})"


class Fusing:
    """Fused approaches of a study.

    A part has the share of the subjects and the seed of what it is fused into; one without a model
    has one share and one seed.
    """

    def __init__(
        self,
        study: Study,
        layout: Layout,
        cohorts: Cohorts,
        detection: Detection,
        scoring: Scoring,
    ):
        self.study, self.layout, self.cohorts = study, layout, cohorts
        self.detection, self.scoring = detection, scoring

    # Which variants they are

    def variants(self) -> str:
        """Expression for the variants whose filtered maps are fused."""
        names = [name for name, one in self.detection.approaches.items() if one.parts]
        return f"{any_of(names)}(?:@[^/]+)?"

    def other_variants(self) -> str:
        """Expression for all other variants, which are filtered."""
        return f"(?!{self.variants()}/)[^/]+"

    # What is fused

    def jobs(self, w) -> list[Job]:
        """Parts of a variant: by approach, then by seed."""
        name, share = variant_parts(w.variant)
        approach = self.detection.approaches[name]
        found = []
        for part in approach.parts:
            free = not part.models
            seeds = self.study.seeds if approach.settings["seeds"] == "all" else [int(w.seed)]
            for seed in self.study.seeds[:1] if free else seeds:
                found.append(
                    Job(w.protocol, variant_label(part.name, 100 if free else share), seed)
                )
        return found

    def parts(self, w) -> list[dict[str, Any]]:
        """Variant, seed and weight of each of :meth:`jobs`: a part's is shared by its seeds."""
        jobs = self.jobs(w)
        weights = weights_of(self.detection.approach_of(w.variant))
        of = [variant_parts(job.variant)[0] for job in jobs]
        return [
            {"variant": job.variant, "seed": job.seed, "weight": weights[name] / of.count(name)}
            for job, name in zip(jobs, of)
        ]

    def filtered(self, w) -> list[str]:
        """Filtered maps of a shard, of each of :meth:`jobs`."""
        where = {"prior": w.prior, "cohort": w.cohort, "shard": w.shard}
        return self.scoring.of_jobs(places.FILTERED, self.jobs(w), **where)

    def healthy(self, w) -> list[str]:
        """Scores on held-out healthy scans, of each of :meth:`jobs`."""
        return self.scoring.of_jobs(places.HEALTHY_SCORES, self.jobs(w), prior=w.prior)

    def settings(self, w) -> dict[str, Any]:
        """How tail probabilities are found."""
        settings = self.detection.approach_of(w.variant).settings
        least = settings["least_scans"] if settings["position"] == "slice" else 0
        return {"least_scans": least, "tail": settings["tail"]}

    def combine(self, w) -> str:
        """How the parts' maps become one."""
        return self.detection.approach_of(w.variant).settings["combine"]

    # What it is compared with

    def healthy_maps(self, w) -> list[str]:
        """Filtered maps of the healthy cohorts by a part, under a prior."""
        where = SimpleNamespace(protocol=w.protocol, variant=w.variant, seed=w.seed)
        return [
            path
            for cohort in self.cohorts.healthy(w.protocol)
            for path in self.scoring.of_prior(places.FILTERED, where, cohort, w.prior)
        ]

    def healthy_subjects(self, w) -> list[str]:
        """Split tables of the healthy cohorts."""
        return self.cohorts.splits(self.cohorts.healthy(w.protocol))
