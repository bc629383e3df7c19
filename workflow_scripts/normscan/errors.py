"""Errors a user can act on: each names the subject, the file or the configuration key."""

from __future__ import annotations

from collections.abc import Iterable


class NormscanError(Exception):
    """Base of all errors whose message is meant for the user, not for a stack trace."""


class ConfigError(NormscanError):
    """A key of the configuration or of a protocol is wrong; the message names the key."""


class CohortError(NormscanError):
    """One or more problems of a cohort, reported together.

    Parameters
    ----------
    cohort : name of the cohort.
    problems : one line per problem; each names the subject and the file.
    """

    def __init__(self, cohort: str, problems: Iterable[str]):
        self.cohort = cohort
        self.problems = list(problems)
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"cohort '{cohort}' has {count} problem{'s' * (count != 1)}:\n{lines}")


class ScanError(NormscanError):
    """One file of one scan cannot be used.

    Parameters
    ----------
    scan : scan id, e.g. ``sub-01`` or ``sub-01_ses-2``.
    file : the file concerned.
    problem : what is wrong.
    remedy : what to do about it.
    """

    def __init__(self, scan: str, file, problem: str, remedy: str = ""):
        self.scan, self.file, self.problem, self.remedy = scan, str(file), problem, remedy
        super().__init__(f"{scan}: {file}: {problem}" + (f"; {remedy}" if remedy else ""))


class MachineError(NormscanError):
    """The machine failed (no room, killed, a broken disk): nothing was learned of a scan."""


class TrainingError(NormscanError):
    """A training cannot go on (diverged, or a checkpoint that does not fit)."""


class BundleError(NormscanError):
    """A model bundle is broken or does not fit the scans it is applied to."""
