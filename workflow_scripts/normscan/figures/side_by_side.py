"""One slice of one patient under all approaches of a protocol."""

from __future__ import annotations

from typing import Any

from normscan.evaluation.compared import Compared
from normscan.evaluation.examples import typical_scans
from normscan.evaluation.truth import fullest_slice, load_truth
from normscan.figures.collection import Figures
from normscan.figures.slices import approach_rows
from normscan.files import load_nifti, read_json

# Approaches side by side in one picture.
ABREAST = 6


def add_examples(
    figures: Figures, cohort: str, of: Compared, manifests: list[str], labels: list[int]
) -> None:
    """One slice of one patient under all approaches (Fig. 6)."""
    scans: dict[str, dict[str, dict]] = {}
    for title in of.whole:
        folder = of.by_title[title]["folder"]
        for path in manifests:
            if f"/{folder}/" in path:
                for scan, paths in read_json(path)["scans"].items():
                    scans.setdefault(scan, {})[title] = paths
    complete = [scan for scan, found in scans.items() if len(found) == len(of.whole)]
    if not complete:
        return
    lesions = {scan: next(iter(scans[scan].values()))["lesions"] for scan in complete}
    volumes = {scan: int(load_truth(lesions[scan], labels)[0].sum()) for scan in complete}
    # The patient in the middle by lesion volume: neither the easiest nor the hardest.
    patients = typical_scans(volumes, of.subject_of(cohort))
    scan = patients["scan"].iloc[(len(patients) - 1) // 2]
    example = next(iter(scans[scan].values()))
    lesion, ignored = load_truth(example["lesions"], labels)
    z = fullest_slice(lesion)
    image = load_nifti(example["input"])[0][:, :, z]
    parts = [of.whole[start : start + ABREAST] for start in range(0, len(of.whole), ABREAST)]
    for number, titles in enumerate(parts, start=1):
        results = {title: slices_of(scans[scan][title], z) for title in titles}
        count = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        title = f"{cohort}: {scan}{count}"
        drawn = approach_rows(
            image, results, truth=lesion[:, :, z], ignored=ignored[:, :, z], title=title
        )
        figures.add(
            drawn,
            f"approaches_{cohort}_{number}",
            "Approaches side by side",
            title,
            "What each approach expects, and its map after post-processing, each on its own scale; "
            "the patient with the median lesion volume, first seed.",
        )


def slices_of(paths: dict, z: int) -> dict[str, Any]:
    """Reconstruction and map of one slice."""
    keys = {"reconstruction": "reconstruction", "map": "filtered"}
    return {
        name: load_nifti(paths[key])[0][:, :, z] if key in paths else None
        for name, key in keys.items()
    }
