"""Training sets: what models are trained on, by name, with a label that paths can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from normscan.errors import ConfigError
from normscan.streams import ALL, MAIN


@dataclass(frozen=True)
class Stream:
    """Slices of the training subjects of some cohorts.

    ``cohorts``: None stands for all of ``role``, until they are known. ``slices``: ``all``, or
    ``lesion_free``: those without a lesion voxel.
    """

    cohorts: tuple[str, ...] | None
    slices: str = ALL
    role: str = "healthy"

    def among(self, roles: Mapping[str, str]) -> Stream:
        """The stream with its cohorts by name, in alphabetical order.

        Parameters
        ----------
        roles : cohort -> role.
        """
        of_role = [name for name, role in roles.items() if role == self.role]
        found = of_role if self.cohorts is None else self.cohorts
        return Stream(tuple(sorted(found)), self.slices)

    @property
    def label(self) -> str:
        """In paths: ``ixi``, ``camcan+ixi``, ``gliomas-lesion_free``."""
        name = "+".join(self.cohorts or ())
        return name if self.slices == ALL else f"{name}-{self.slices}"

    def record(self) -> dict[str, list[str] | str]:
        """As plain values."""
        return {"cohorts": list(self.cohorts or ()), "slices": self.slices}


@dataclass(frozen=True)
class TrainingSet:
    """Named streams, of which the main one may be a share (per cent) of its subjects."""

    streams: Mapping[str, Stream]
    share: float = 100

    @property
    def label(self) -> str:
        """In paths: ``ixi``, ``ixi-10pct``, ``ixi--patients-gliomas-lesion_free``."""
        main = self.streams[MAIN].label
        parts = [main if self.share == 100 else f"{main}-{self.share:g}pct"]
        parts += [
            f"{name}-{stream.label}"
            for name, stream in sorted(self.streams.items())
            if name != MAIN
        ]
        return "--".join(parts)

    def only(self, names: Iterable[str]) -> TrainingSet:
        """With these streams only; the main one is always kept."""
        kept = {MAIN, *names}
        chosen = {name: stream for name, stream in self.streams.items() if name in kept}
        return TrainingSet(chosen, self.share)

    def cohorts(self, names: Iterable[str] | None = None) -> list[str]:
        """Cohorts of some streams (of all), each once, in the order of the streams."""
        chosen = self.streams if names is None else names
        found = [cohort for name in chosen for cohort in self.streams[name].cohorts or ()]
        return list(dict.fromkeys(found))


class TrainingSets(dict[str, TrainingSet]):
    """Training sets by label."""

    def add(self, found: TrainingSet) -> str:
        """Its label; ConfigError when another set has the same."""
        known = self.setdefault(found.label, found)
        if known != found:
            raise ConfigError(
                f"two training sets would share the label '{found.label}': "
                f"{dict(known.streams)} and {dict(found.streams)}; rename a cohort or a stream"
            )
        return found.label
