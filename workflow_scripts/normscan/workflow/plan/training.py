"""What the rules of training take: models, their training sets, the models that they use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.models import registry
from normscan.streams import MAIN
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.preprocessing import Preprocessing
from normscan.workflow.protocol_models import Model
from normscan.workflow.training_sets import TrainingSet, TrainingSets


class Training:
    """Models of a study and what they are trained on.

    A training set in a path holds the streams of its model and of all models that this one uses, or
    that its labels come from, since they determine it. So the set of a used model is a part of it,
    and found from it.

    Attributes
    ----------
    models : name -> model (names mean the same in every protocol).
    sets : label -> training set.
    """

    def __init__(
        self, study: Study, layout: Layout, cohorts: Cohorts, preprocessing: Preprocessing
    ):
        self.study, self.layout = study, layout
        self.cohorts, self.preprocessing = cohorts, preprocessing
        self.models: dict[str, Model] = {}
        for protocol in study.protocols.values():
            self.models |= protocol.models
        self.sets = TrainingSets()
        self._all = cache(self._all)
        self._own = cache(self._own)
        self._part = cache(self._part)
        self._needed = cache(self._needed)
        self.packs_of = cache(self.packs_of)
        for protocol, spec in study.protocols.items():
            for share in spec.shares:
                self.sets.add(self._all(protocol, share).only([MAIN]))
                for approach in spec.approaches.values():
                    if approach.models:
                        self.label(protocol, share, approach.models)
            if spec.fidelity:
                self.label(protocol, 100, [spec.fidelity])

    # Training sets

    def _all(self, protocol: str, share: float) -> TrainingSet:
        """All streams of a protocol."""
        streams = self.study.protocols[protocol].training_streams(self.cohorts.roles)
        return TrainingSet(streams, share)

    def _own(self, model: str) -> tuple[str, ...]:
        """Streams that a model itself is trained on."""
        return registry.describe(self.models[model].family)["streams"]

    def _needed(self, model: str) -> frozenset[str]:
        """Streams of a model and of all models that it uses, or that its labels come from."""
        found = self.models[model]
        names = [*found.uses.values(), *self._teachers(found)]
        used = [self._needed(one) for one in names]
        return frozenset(self._own(model)).union(*used)

    def _teachers(self, model: Model) -> tuple[str, ...]:
        """Models of the approach that a model's labels come from."""
        if model.labels is None:
            return ()
        return self.study.protocols[model.labels.protocol].approaches[model.labels.approach].models

    def label(self, protocol: str, share: float, models: Iterable[str]) -> str:
        """The training set of models of a protocol; it is known by its label from then on."""
        needed = frozenset().union(*(self._needed(model) for model in models))
        return self.sets.add(self._all(protocol, share).only(needed))

    def _part(self, label: str, model: str) -> str:
        """The training set of a model that the owner of a set has or uses."""
        return self.sets.add(self.sets[label].only(self._needed(model)))

    def set_of(self, w) -> TrainingSet:
        """The training set in a path."""
        return self.sets[w.training]

    def streams(self, w) -> dict[str, dict[str, Any]]:
        """Streams that a model itself is trained on, as plain values."""
        streams = self.sets[w.training].streams
        return {name: streams[name].record() for name in self._own(w.model)}

    # Files

    def packs_of(self, chain: str, pack: str, cohorts: tuple[str, ...]) -> list[str]:
        """Slice packs of cohorts."""
        return self.preprocessing.packed(chain, pack, cohorts)

    def _trained_on(self, w) -> tuple[str, ...]:
        return tuple(self.sets[w.training].cohorts(self._own(w.model)))

    def packs(self, w) -> list[str]:
        """Slice packs of all cohorts that a model is trained on."""
        return self.packs_of(w.chain, w.pack, self._trained_on(w))

    def subjects(self, w) -> list[str]:
        """Splits of all cohorts that a model is trained on."""
        return self.cohorts.splits(self._trained_on(w))

    def _held_out(self, w) -> tuple[str, ...]:
        """Cohorts on whose validation subjects settings are found: healthy ones where there are."""
        named = self.sets[w.training].cohorts()
        healthy = [name for name in named if self.cohorts.roles[name] == "healthy"]
        return tuple(healthy or self.sets[w.training].cohorts([MAIN]))

    def tuning_packs(self, w) -> list[str]:
        """Slice packs that a detector's settings are found on."""
        return self.packs_of(w.chain, w.pack, self._held_out(w))

    def tuning_subjects(self, w) -> list[str]:
        """Splits of the cohorts that a detector's settings are found on."""
        return self.cohorts.splits(self._held_out(w))

    def file(self, template: str, w, model: str) -> str:
        """A file of a model.

        Parameters
        ----------
        w : ``chain``, ``pack``, ``seed``, and ``training``: the model's own set or that of what
            uses it.
        """
        where = {"chain": w.chain, "pack": w.pack, "model": model, "seed": w.seed}
        return self.layout.fill(template, **where, training=self._part(w.training, model))

    def used(self, w, uses: dict[str, str]) -> dict[str, list[str]]:
        """Weights and descriptions of the models in certain roles; nothing where there are none."""
        if not uses:
            return {}
        return {
            "used_weights": [self.file(places.WEIGHTS, w, one) for one in uses.values()],
            "used_bundles": [self.file(places.BUNDLE, w, one) for one in uses.values()],
        }

    def used_by_model(self, w) -> dict[str, list[str]]:
        """Files of the models that a model uses."""
        return self.used(w, self.models[w.model].uses)

    # Parameters

    def inputs(self, w) -> list[str]:
        """Contrasts that a model sees."""
        chosen = self.models[w.model].inputs
        return self.preprocessing.pack_contrasts(w) if chosen is None else list(chosen)

    def targets(self, w) -> list[str]:
        """Contrasts that a model gives back."""
        chosen = self.models[w.model].targets
        return self.preprocessing.pack_contrasts(w) if chosen is None else list(chosen)

    def cost(self, model: str) -> float:
        """Time that training a model takes, as its family says it, at least a whole one's."""
        return max(1.0, registry.describe(self.models[model].family)["cost"])

    def training_modules(self, model: str) -> list[str]:
        """What the code of a training is made of: :meth:`modules`, and what augments slices."""
        own = ["normscan.slices.augmentation"] if self.models[model].augmentation else []
        return self.modules(model) + own

    def modules(self, model: str) -> list[str]:
        """What the code of a model and of those it uses is made of, besides what scripts import."""
        found = self.models[model]
        network = found.settings.get("network")
        names = [f"normscan.models.{found.family}"]
        names += [f"normscan.networks.{network}"] if network else []
        for used in found.uses.values():
            names += self.modules(used)
        return list(dict.fromkeys(names))
