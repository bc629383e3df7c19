"""What quality control takes, and what waits for it where flagged scans are not to pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.preprocessing import Preprocessing


class Quality:
    """Quality control of cohorts under the protocols that use them."""

    def __init__(
        self, study: Study, layout: Layout, cohorts: Cohorts, preprocessing: Preprocessing
    ):
        self.study, self.layout = study, layout
        self.cohorts, self.preprocessing = cohorts, preprocessing

    def manifests(self, w) -> list[str]:
        """Prepared scans of a cohort, as a protocol makes them."""
        return self.preprocessing.prepared(self.preprocessing.chain[w.protocol], w.cohort)

    def slices(self, protocol: str) -> dict[str, Any]:
        """Of the slices what lesions may be lost on: ``size``, ``field_of_view``."""
        settings = self.study.protocols[protocol].slices
        return {key: settings[key] for key in ("size", "field_of_view")}

    def of(self, protocol: str, cohort: str) -> str:
        """What quality control says of a cohort under a protocol."""
        return self.layout.fill(places.QUALITY, protocol=protocol, cohort=cohort)

    def of_cohorts(self, cohorts: Iterable[str]) -> list[str]:
        """The same of cohorts under every protocol that uses them."""
        return [self.of(name, cohort) for cohort in cohorts for name in self.cohorts.users(cohort)]

    # Before packing

    def of_pack(self, w) -> str:
        """What says which scans of a cohort stay out of a pack.

        Protocols with the same pack have the same chain, contrasts and slices, so that quality
        control says the same under each.
        """
        chain, pack = self.preprocessing.chain, self.preprocessing.pack
        made = {name for name in chain if (chain[name], pack[name]) == (w.chain, w.pack)}
        users = [name for name in self.cohorts.users(w.cohort) if name in made]
        return self.of((users or sorted(made))[0], w.cohort)

    def gate(self, cohort: str) -> str:
        """The check that no scan is flagged; cohorts to screen have one of their own."""
        if self.cohorts.roles[cohort] == "unlabelled":
            return self.layout.fill(places.UNFLAGGED_SCREENED, cohort=cohort)
        return self.layout.path(places.UNFLAGGED)
