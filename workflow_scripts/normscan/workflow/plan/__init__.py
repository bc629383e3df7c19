"""What rules take, by wildcards: small parts, each for one group of rules.

What determines an artifact is what its path is made of. So a scan is registered once and a model
trained once, whichever protocols use them, and parameters hold exactly the values that a rule uses:
a change of one makes only that rule and what follows it stale.
"""

from __future__ import annotations

from normscan import layout as places
from normscan.layout import Layout
from normscan.workflow.configuration import Study
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.fidelity import Fidelity
from normscan.workflow.plan.fusing import Fusing
from normscan.workflow.plan.jobs import Job, variant_label, variant_parts
from normscan.workflow.plan.patients import Patients
from normscan.workflow.plan.preprocessing import Preprocessing
from normscan.workflow.plan.quality import Quality
from normscan.workflow.plan.report import Report
from normscan.workflow.plan.scoring import Scoring
from normscan.workflow.plan.screening import Screening
from normscan.workflow.plan.selection import Selection
from normscan.workflow.plan.teaching import Teaching
from normscan.workflow.plan.training import Training


class Plan:
    """Everything the rules ask for, computed from a :class:`Study`.

    Attributes
    ----------
    cohorts, preprocessing, quality, training, detection, scoring, fusing, fidelity, teaching,
    screening, selection, patients, report : each for the rules of its stage; a part knows the ones
        before it.
    """

    def __init__(self, study: Study):
        self.layout = layout = Layout(study.results)
        self.path = layout.path
        self.cohorts = Cohorts(study, layout)
        self.preprocessing = Preprocessing(study, layout, self.cohorts)
        self.quality = Quality(study, layout, self.cohorts, self.preprocessing)
        self.training = Training(study, layout, self.cohorts, self.preprocessing)
        self.detection = Detection(study, layout, self.preprocessing, self.training)
        self.scoring = Scoring(study, layout, self.cohorts, self.detection)
        self.fusing = Fusing(study, layout, self.cohorts, self.detection, self.scoring)
        self.fidelity = Fidelity(study, layout, self.cohorts, self.training, self.detection)
        self.teaching = Teaching(study, self.cohorts, self.training, self.detection, self.scoring)
        self.screening = Screening(
            study, layout, self.cohorts, self.preprocessing, self.detection, self.fusing
        )
        self.selection = Selection(study, layout, self.cohorts, self.detection)
        self.patients = Patients(study, layout, self.cohorts, self.detection)
        self.report = Report(
            study,
            layout,
            self.cohorts,
            self.detection,
            self.screening,
            self.selection,
            self.patients,
        )

    def results(self) -> list[str]:
        """What a run without further words makes: the report, or where bundles are all, pages."""
        if self.screening.bundled:
            return self.screening.pages()
        return [self.path(places.REPORT), self.path(places.METRICS)]


__all__ = ["Job", "Plan", "variant_label", "variant_parts"]
