"""Which scans a simulated cohort has; the images themselves are made by a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normscan.cohorts.scans import CONTRASTS, Scan
from normscan.cohorts.simulation.grids import voxel_sizes
from normscan.errors import ConfigError
from normscan.plugins import complete_settings, literals

SETTINGS_FILE = Path(__file__).parent / "simulation" / "simulate.py"


def planned_scans(
    cohort: str, settings: dict[str, Any], folder: Path
) -> tuple[list[Scan], list[str]]:
    """Scans of a simulated cohort and every problem of its settings.

    Parameters
    ----------
    cohort : name of the cohort.
    settings : of the simulation; unknown keys are problems.
    folder : where its BIDS folder will be.
    """
    declared = literals(SETTINGS_FILE)
    complete, problems = complete_settings(
        settings, declared["SETTINGS"], declared["ALLOWED"], "simulation"
    )
    if problems:
        return [], problems
    unknown = [one for one in complete["contrasts"] if one not in CONTRASTS]
    problems += [
        f"simulation.contrasts: unknown contrast '{one}'; allowed: {', '.join(CONTRASTS)}"
        for one in unknown
    ]
    if not complete["contrasts"]:
        problems.append("simulation.contrasts: found none; give at least one")
    if problems:
        return [], problems
    try:
        voxel_sizes(complete["spacing"], complete["contrasts"])
    except ConfigError as error:
        return [], [str(error)]
    return [_scan(cohort, label, complete, folder) for label in labels(complete["subjects"])], []


def labels(count: int) -> list[str]:
    """Subject labels: 01, 02, ...; two digits, or more when the cohort has more."""
    return [f"{number:02d}" for number in range(1, count + 1)]


def _scan(cohort: str, label: str, settings: dict[str, Any], folder: Path) -> Scan:
    images = {
        contrast: str(folder / f"sub-{label}" / "anat" / f"sub-{label}_{contrast}.nii.gz")
        for contrast in settings["contrasts"]
    }
    truth = folder / "derivatives" / "truth" / f"sub-{label}" / "anat"
    lesion = ""
    if settings["lesion"] != "none":
        lesion = str(truth / f"sub-{label}_label-lesion_dseg.nii.gz")
    anatomy = str(truth / f"sub-{label}_desc-anatomy_dseg.nii.gz")
    return Scan(cohort, label, "", images, "", lesion, anatomy)
