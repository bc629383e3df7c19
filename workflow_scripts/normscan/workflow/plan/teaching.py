"""What the rules of pseudo-labels take: an approach's detections that another model learns from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from normscan import layout as places
from normscan.models import registry
from normscan.streams import PSEUDO
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.jobs import variant_label
from normscan.workflow.plan.scoring import Scoring
from normscan.workflow.plan.training import Training


class Teaching:
    """Approaches that teach, and what they are asked for.

    A teacher is trained on the same share of the subjects, with the same seed; an approach without
    a model has one share and one seed.
    """

    def __init__(
        self,
        study: Study,
        cohorts: Cohorts,
        training: Training,
        detection: Detection,
        scoring: Scoring,
    ):
        self.study, self.cohorts, self.training = study, cohorts, training
        self.detection, self.scoring = detection, scoring

    # What a training takes

    def labels(self, w) -> dict[str, list[str]]:
        """Pseudo-labels of all shards that a model is trained on; nothing for most models."""
        model = self.training.models[w.model]
        if model.labels is None:
            return {}
        approach, found = model.labels.approach, self.training.sets[w.training]
        free = self.detection.is_free(approach)
        where = {
            "protocol": model.labels.protocol,
            "variant": variant_label(approach, 100 if free else found.share),
            "seed": self.study.seeds[0] if free else w.seed,
            "threshold_rule": model.labels.rule,
        }
        layers = registry.describe(model.family)["stream_layers"]
        cohorts = found.cohorts([name for name, own in layers.items() if PSEUDO in own])
        paths = [self.scoring.shards(places.PSEUDO_LABELS, one, **where) for one in cohorts]
        return {"labels": [path for shards in paths for path in shards]}

    # What making labels takes

    def maps(self, w) -> list[str]:
        """The teacher's maps of a shard: those that are evaluated, and those of all other scans."""
        where = vars(self.detection.where(w.protocol, w.variant, w.seed))
        here = SimpleNamespace(**where, cohort=w.cohort, shard=w.shard)
        templates = [places.MAP_MANIFEST]
        templates += [places.OTHER_MAPS] if self.detection.chosen(here) else []
        return [self.detection.layout.fill(one, **vars(here)) for one in templates]

    def healthy_histograms(self, w) -> list[str]:
        """Score histograms of healthy scans under the sign prior of the cohort to be labelled."""
        prior = self.cohorts.prior(w.cohort)
        return [
            path
            for cohort in self.cohorts.healthy(w.protocol)
            for path in self.scoring.of_prior(places.HISTOGRAMS, w, cohort, prior)
        ]

    def applied_prior(self, w) -> str:
        """Sign of what counts in a cohort's maps, as where these are evaluated."""
        prior = self.cohorts.prior(w.cohort)
        return self.scoring.applied_prior(
            SimpleNamespace(protocol=w.protocol, variant=w.variant, prior=prior)
        )

    def rule(self, w) -> dict[str, Any]:
        """Kind and settings of the threshold rule that labels are made with."""
        rules = self.study.protocols[w.protocol].rules
        (found,) = [one for one in rules if one.label == w.threshold_rule]
        return {"kind": found.kind, "settings": found.settings}
