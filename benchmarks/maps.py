"""From a map to its scores: NIfTI volumes as they once were handed over, and arrays of rows.

A simulated brain with lesions and a made-up map, of one scan, approach and seed: seconds of each
stage, bytes and files that stay. Detection itself is left out: it is the same for both.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas
from common import CLOCKS, options, setup, table
from scipy import ndimage

from normscan.detectors.base import Detection
from normscan.detectors.maps import brain_rows, write_maps
from normscan.evaluation.cohort import split_curves, split_rows
from normscan.evaluation.froc import COLUMNS as FROC_COLUMNS
from normscan.evaluation.froc import froc_counts, froc_thresholds
from normscan.evaluation.region import evaluated_region, lesion_and_ignored
from normscan.evaluation.residuals import Residuals, load_residuals, save_residuals
from normscan.evaluation.scoring import scan_scores
from normscan.evaluation.segmentation import segmentation_scores
from normscan.evaluation.truth import load_brain, load_truth
from normscan.files import load_nifti, read_tsv, save_nifti, write_json, write_tsv
from normscan.postprocessing.components import drop_small
from normscan.postprocessing.detections import detect_components, write_volumes
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.histograms import ScoreHistogram, load_histograms, save_histograms
from normscan.preprocessing.resample import to_native
from normscan.preprocessing.transforms import write_affine
from normscan.slices.index import (
    PackIndex,
    ScanEntry,
    layer_path,
    open_array,
    open_layer,
    stack_volume,
)
from normscan.slices.rows import RowReader, RowWriter
from normscan.workflow.configuration import VOLUMES

SHAPE, NATIVE_SHAPE = (128, 128, 74), (240, 240, 60)
AFFINE, NATIVE_AFFINE = np.diag([1.5, 1.5, 2.0, 1]), np.diag([0.9, 0.9, 3.0, 1])
SCORES = ["scan", "subject", "threshold_rule", "metric", "value"]
PACK, NAME, SUBJECT, MINIMUM = "00.json", "sub-01", "01", 8
STAGES = ("detect", "filter", "segment", "evaluate")


@dataclass(frozen=True)
class Scan:
    """One scan in a pack, and what a detector found in it."""

    index: PackIndex
    entry: ScanEntry
    found: Detection
    thresholds: dict[str, float]
    froc: list[float]


def made_scan(folder: Path) -> Scan:
    """An ellipsoid of smooth tissue with twelve lesions; the map is smooth noise, high in them."""
    random = np.random.default_rng(0)
    axes = [np.linspace(-1.2, 1.2, size) for size in SHAPE]
    depth = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    brain = depth < 1
    places = random.permutation(np.argwhere(depth < 0.5))[:12]
    seeds = np.zeros(SHAPE, bool)
    seeds[tuple(places.T)] = True
    lesion = ndimage.binary_dilation(seeds, iterations=4) & brain

    def smooth(sigma: float) -> np.ndarray:
        noise = ndimage.gaussian_filter(random.normal(size=SHAPE), sigma)
        return noise / noise.std()

    image = np.where(brain, 0.6 + 0.1 * smooth(2) + 0.25 * lesion, 0).astype(np.float32)
    # A reconstruction is not exactly 0 outside of the brain either.
    signed = (np.where(brain, 0.05, 0.003) * smooth(0.7) + 0.2 * lesion).astype(np.float32)
    z = np.flatnonzero(brain.any(axis=(0, 1)))
    save_nifti(folder / "native.nii.gz", np.zeros(NATIVE_SHAPE), NATIVE_AFFINE, np.uint8)
    turn, angle = np.eye(4), np.deg2rad(6)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    entry = ScanEntry(
        scan=NAME, subject=SUBJECT, session="", first=0, count=len(z), z=z.tolist(), shape=SHAPE,
        affine=AFFINE.tolist(), native={"FLAIR": str(folder / "native.nii.gz")},
        transforms={"FLAIR": [write_affine(folder / "turn.mat", turn)]},
        brain_voxels=brain.sum(axis=(0, 1))[z].tolist(),
        lesion_voxels=lesion.sum(axis=(0, 1))[z].tolist(),
    )  # fmt: skip
    save_nifti(folder / "brain.nii.gz", brain, AFFINE, np.uint8)
    save_nifti(folder / "lesion.nii.gz", lesion, AFFINE, np.uint8)
    for name, volume in (("brain", brain), ("lesion", lesion)):
        np.save(layer_path(folder / PACK, name), entry.slices_of(volume.astype(np.uint8)))
    np.save(folder / "00.npy", entry.slices_of(image)[:, None])
    index = PackIndex("bench", "00", SHAPE[0], ["FLAIR"], [], "", {}, {}, [entry])
    write_json(folder / PACK, index.to_json())
    healthy = filter_map(signed, brain & ~lesion, prior="hyperintense", erosion=3, median=5)
    froc = froc_thresholds(ScoreHistogram.of(healthy, lesion, brain & ~lesion))
    rules = {"best_dice": 0.1, "healthy_percentile_98": froc[-3], "healthy_fpr_0.01": froc[-5]}
    found = Detection(entry.slices_of(signed), entry.slices_of(image - signed)[:, None])
    return Scan(index, entry, found, rules, froc)


# What both do.


def filtered_and_counted(signed, brain, lesion, ignored, folder: Path) -> np.ndarray:
    """The filtered map; its histogram and the residuals are written."""
    filtered = filter_map(signed, brain, prior="hyperintense", erosion=3, median=5)
    region = evaluated_region(brain, lesion, ignored)
    save_histograms(folder / "00.npz", {NAME: ScoreHistogram.of(filtered, lesion, region)})
    residuals = Residuals.of(signed[region & ~lesion]), Residuals.of(signed[lesion])
    save_residuals(folder / "00-residuals.json", {NAME: residuals})
    return filtered


def write_scores(scan: Scan, scores: list, counts: list, folder: Path) -> None:
    """Scores at every rule, and the counts of the FROC curve."""
    rows = [[NAME, SUBJECT, *row] for row in scores]
    write_tsv(folder / "00.tsv", pandas.DataFrame(rows, columns=SCORES))
    counts = pandas.DataFrame([[NAME, *row] for row in counts], columns=FROC_COLUMNS)
    write_tsv(folder / "00-froc.tsv", counts)


def evaluate(scan: Scan, folder: Path) -> pandas.DataFrame:
    """Rows of the table of metrics; curves as well."""
    subjects = {NAME: SUBJECT}
    histograms = load_histograms(folder / "00.npz")
    residuals = load_residuals(folder / "00-residuals.json")
    scores = read_tsv(folder / "00.tsv", dtype={"scan": str})
    split_curves(subjects, histograms, residuals, read_tsv(folder / "00-froc.tsv"))
    return split_rows(subjects, histograms, residuals, scores, residual=True)


# NIfTI, as it was.


def detect_nifti(scan: Scan, folder: Path) -> None:
    """Map, reconstruction and input of the scan as volumes."""
    scan.entry.slices_of(load_nifti(folder.parent / "brain.nii.gz", np.uint8)[0])
    rows = {"map": scan.found.map, "reconstruction": scan.found.reconstruction[:, 0]}
    rows["input"] = open_array(folder.parent / PACK)[:, 0]
    for name, own in rows.items():
        save_nifti(folder / f"{name}.nii.gz", stack_volume(own, scan.entry), AFFINE, np.float32)


def filter_nifti(scan: Scan, folder: Path) -> None:
    """The filtered map as a volume."""
    signed, _ = load_nifti(folder / "map.nii.gz")
    brain = load_nifti(folder.parent / "brain.nii.gz", np.uint8)[0] > 0
    truth = lesion_and_ignored(load_nifti(folder.parent / "lesion.nii.gz", np.int32)[0], [])
    filtered = filtered_and_counted(signed, brain, *truth, folder)
    save_nifti(folder / "filtered.nii.gz", filtered, AFFINE, np.float32)


def segment_nifti(scan: Scan, folder: Path) -> None:
    """Detections in both spaces and the native map as volumes, components as a table."""
    filtered, _ = load_nifti(folder / "filtered.nii.gz")
    truth = lesion_and_ignored(load_nifti(folder.parent / "lesion.nii.gz", np.int32)[0], [])
    scores = [
        (rule, metric, value)
        for rule, threshold in scan.thresholds.items()
        for metric, value in segmentation_scores(
            drop_small(filtered > threshold, MINIMUM), truth[0], AFFINE, truth[1]
        ).items()
    ]
    counts = froc_counts(filtered, truth[0], scan.froc, MINIMUM, truth[1])
    write_scores(scan, scores, counts, folder)
    detected = drop_small(filtered > scan.thresholds["best_dice"], MINIMUM)
    save_nifti(folder / "detected.nii.gz", detected, AFFINE, np.uint8)
    found = detect_components(filtered, scan.thresholds["best_dice"], MINIMUM, scan.entry, "FLAIR")
    write_tsv(folder / "components.tsv", found.components)
    native, grid = to_native(filtered, scan.entry, "FLAIR", AFFINE, "linear")
    save_nifti(folder / "native-map.nii.gz", native, grid, np.float32)
    save_nifti(folder / "native-detected.nii.gz", found.native, grid, np.uint8)


# Arrays.


def detect_arrays(scan: Scan, folder: Path) -> None:
    """Rows of the map and of the reconstruction."""
    rows = brain_rows(scan.index, scan.entry)
    open_array(folder.parent / PACK)[rows], open_layer(folder.parent / PACK, "brain")[rows] > 0
    write_maps(folder / "maps.json", {}, scan.index, [scan.entry], [scan.found])


def filter_arrays(scan: Scan, folder: Path) -> None:
    """Rows of the filtered map."""
    pack = folder.parent / PACK
    signed = RowReader(folder / "maps.json").volume("map", scan.entry)
    brain, truth = load_brain(pack, scan.entry), load_truth(pack, scan.entry, [])
    filtered = filtered_and_counted(signed, brain, *truth, folder)
    with RowWriter(folder / "filtered.json", [scan.entry], scan.index.size) as writer:
        writer.put("filtered", NAME, scan.entry.slices_of(filtered))
    write_json(folder / "filtered.json", writer.facts())


def segment_arrays(scan: Scan, folder: Path, *, wanted: str) -> None:
    """Components as a table; native volumes where they are asked for."""
    filtered = RowReader(folder / "filtered.json").volume("filtered", scan.entry)
    truth = load_truth(folder.parent / PACK, scan.entry, [])
    found = scan_scores(filtered, *truth, AFFINE, scan.thresholds, scan.froc, MINIMUM)
    write_scores(scan, *found, folder)
    found = detect_components(filtered, scan.thresholds["best_dice"], MINIMUM, scan.entry, "FLAIR")
    write_tsv(folder / "components.tsv", found.components)
    volumes = {**VOLUMES, "detections": wanted, "maps": wanted}
    write_volumes(folder, scan.entry, "FLAIR", volumes, found=found, filtered=filtered)


FORMS: dict[str, list[Callable[[Scan, Path], object]]] = {
    "NIfTI": [detect_nifti, filter_nifti, segment_nifti, evaluate],
    "arrays": [detect_arrays, filter_arrays, partial(segment_arrays, wanted="none"), evaluate],
    "arrays, native volumes": [
        detect_arrays,
        filter_arrays,
        partial(segment_arrays, wanted="native"),
        evaluate,
    ],
}


def timed(scan: Scan, stages, folder: Path, now) -> tuple[list[float], pandas.DataFrame]:
    """Seconds of every stage of one form from nothing, and the metrics at its end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    seconds, result = [], None
    for stage in stages:
        start = now()
        result = stage(scan, folder)
        seconds.append(now() - start)
    return seconds, result


def main() -> None:
    arguments = options(__doc__ or "", folder="")
    setup(arguments)
    now = CLOCKS[arguments.clock]
    with tempfile.TemporaryDirectory(dir=arguments.folder or None) as root:
        scan = made_scan(Path(root))
        seconds: dict[str, list[list[float]]] = {form: [] for form in FORMS}
        metrics = {}
        # The forms take turns, so that drifts hit all alike; the first turn warms up.
        for turn in range(arguments.repeats + 1):
            for form, stages in FORMS.items():
                found, metrics[form] = timed(scan, stages, Path(root, form), now)
                seconds[form] += [found] if turn else []
        rows, sizes = [], []
        for form, runs in seconds.items():
            pandas.testing.assert_frame_equal(metrics[form], metrics["NIfTI"], check_exact=True)
            medians = [statistics.median(column) for column in zip(*runs)]
            files = [path for path in Path(root, form).iterdir() if path.is_file()]
            rows.append(
                {
                    "hand-over": form,
                    **dict(zip(STAGES, medians)),
                    "all": statistics.median(sum(run) for run in runs),
                    "MB": sum(path.stat().st_size for path in files) / 1e6,
                    "files of a scan": sum(path.suffix == ".gz" for path in files),
                    "of a shard": sum(path.suffix != ".gz" for path in files),
                }
            )
            sizes += [
                {"hand-over": form, "file": path.name, "MB": path.stat().st_size / 1e6}
                for path in files
                if path.stat().st_size > 1e4
            ]
    table("files of 10 kB and more", sizes)
    table(f"{'x'.join(map(str, SHAPE))}, {arguments.repeats} runs: seconds", rows)


if __name__ == "__main__":
    main()
