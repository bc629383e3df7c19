"""One slice of one patient under all approaches of a protocol."""

from __future__ import annotations

from typing import Any

from normscan.evaluation.compared import Compared
from normscan.evaluation.examples import typical_scans
from normscan.evaluation.found import Found
from normscan.evaluation.truth import fullest_slice
from normscan.figures.collection import Figures
from normscan.figures.slices import approach_rows

# Approaches side by side in one picture.
ABREAST = 6


def add_examples(
    figures: Figures, cohort: str, of: Compared, manifests: list[str], labels: list[int]
) -> None:
    """One slice of one patient under all approaches (Fig. 6)."""
    scans: dict[str, dict[str, Found]] = {}
    for path in manifests:
        found = Found(path)
        for title in of.whole:
            if found.content["cohort"] == cohort and found.is_of(of.by_title[title]):
                for scan in found.scans:
                    scans.setdefault(scan, {})[title] = found
    shown = [title for title in of.whole if any(has_map(one.get(title)) for one in scans.values())]
    # Patients that models of another protocol are trained on have maps, but no metrics.
    subject_of = of.subject_of(cohort)
    complete = [scan for scan in scans if set(shown) <= set(scans[scan]) and scan in subject_of]
    if not complete or not shown:
        return
    volumes = {}
    for scan in complete:
        volumes[scan] = int(scans[scan][shown[0]].truth(scan, labels)[0].sum())
    # The patient in the middle by lesion volume: neither the easiest nor the hardest.
    patients = typical_scans(volumes, subject_of)
    scan = patients["scan"].iloc[(len(patients) - 1) // 2]
    example = scans[scan][shown[0]]
    lesion, ignored = example.truth(scan, labels)
    z = fullest_slice(lesion)
    image = example.image(scan)[:, :, z]
    parts = [shown[start : start + ABREAST] for start in range(0, len(shown), ABREAST)]
    for number, titles in enumerate(parts, start=1):
        results = {title: slices_of(scans[scan][title], scan, z) for title in titles}
        count = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        title = f"{cohort}: {scan}{count}"
        drawn = approach_rows(
            image,
            results,
            truth=lesion[:, :, z],
            ignored=ignored[:, :, z],
            title=title,
            orientation=figures.orientation,
        )
        figures.add(
            drawn,
            f"approaches_{cohort}_{number}",
            "Approaches side by side",
            title,
            "What each approach expects, and its map after post-processing, each on its own scale; "
            "the patient with the median lesion volume, first seed. Where there are several "
            "reconstructions, their standard deviation is shown below. " + figures.sides,
        )


def has_map(found: Found | None) -> bool:
    """Whether an approach scores voxels: one that scores slices only has nothing to show."""
    return found is not None and found.scores_voxels


def slices_of(found: Found, scan: str, z: int) -> dict[str, Any]:
    """Reconstruction, map and uncertainty of one slice, as far as there are."""
    there = found.slices(scan, z)
    return {name: there.get(name) for name in ("reconstruction", "map", "uncertainty")}
