"""Figures of one cohort under one protocol: which are drawn, and their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.fidelity import OVERLAP, QUALITY
from normscan.evaluation.study import strongest, with_residuals
from normscan.figures.bars import metric_bars
from normscan.figures.boxes import box_rows, stage_rows
from normscan.figures.collection import Figures
from normscan.figures.curves import froc_curves, pr_curves, roc_curves
from normscan.figures.dice import dice_distributions
from normscan.figures.examples import slice_examples
from normscan.figures.fidelity import fidelity_distributions, fidelity_rows, shared_rows
from normscan.figures.residuals import residual_histograms
from normscan.figures.slices import slice_rows, spread_words

SPLIT = "test"
# title of an approach -> what ``evaluation.cohort`` says of it.
Curves = Mapping[str, Mapping[str, Any]]


def first_seeds(approaches: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """variant -> its record of the first seed."""
    first: dict[str, Mapping[str, Any]] = {}
    for one in approaches:
        first.setdefault(one["variant"], one)
    return first


def titled(
    metrics: pandas.DataFrame, cohort: str, protocol: str, first: Mapping[str, Mapping[str, Any]]
) -> pandas.DataFrame:
    """Metric rows of a cohort's test patients under a protocol, with a column ``title``."""
    titles = {f"{protocol}/{name}": one["title"] for name, one in first.items()}
    rows = metrics[(metrics["cohort"] == cohort) & (metrics["split"] == SPLIT)]
    rows = rows[rows["approach"].isin(titles)]
    return rows.assign(title=rows["approach"].map(titles))


def add_curves(figures: Figures, cohort: str, curves: Curves) -> None:
    """Precision and recall, ROC, and free-response ROC; nothing where no voxels are scored."""
    if not curves:
        return
    seed_note = "Curves of the first seed; voxels of all test patients together."
    pr = {
        name: (np.array(c["recall"]), np.array(c["precision"]), c["auprc"])
        for name, c in curves.items()
    }
    prevalence = next(iter(curves.values()))["prevalence"]
    drawn = pr_curves(pr, prevalence=prevalence, looks=figures.looks)
    figures.add(drawn, "pr", "Curves", f"{cohort}: precision and recall", seed_note)
    roc = {
        name: (np.array(c["fpr"]), np.array(c["recall"]), c["auroc"]) for name, c in curves.items()
    }
    figures.add(
        roc_curves(roc, looks=figures.looks),
        "roc",
        "Curves",
        f"{cohort}: ROC",
        seed_note + " Under heavy class imbalance ROC curves flatter; see precision and recall.",
    )
    froc = {
        name: (np.array(c["froc"]["false_positives"]), np.array(c["froc"]["recall"], float))
        for name, c in curves.items()
        if c["froc"]["threshold"]
    }
    if froc:
        figures.add(
            froc_curves(froc, looks=figures.looks),
            "froc",
            "Curves",
            f"{cohort}: free-response ROC",
            "Lesions found (any voxel) against detections that touch none, at thresholds that "
            "fixed shares of healthy voxels exceed.",
        )


def add_scores(
    figures: Figures,
    cohort: str,
    metrics: pandas.DataFrame,
    first: Mapping[str, Mapping[str, Any]],
) -> None:
    """AUPRC as bars, and the Dice of every patient; nothing where no voxels are scored."""
    found = areas(metrics)
    if not found:
        return
    figures.add(
        metric_bars({cohort: found}, baselines=baseline(first, found), looks=figures.looks),
        "auprc",
        "Curves",
        f"{cohort}: AUPRC",
        "Mean over seeds with standard deviation, where there are several.",
    )
    scores = dice(metrics)
    if scores:
        figures.add(
            dice_distributions(scores, looks=figures.looks),
            "dice",
            "Dice",
            f"{cohort}: Dice per patient",
            "At the operating points of the threshold rules; none is chosen on these patients. A "
            "point is a patient: the mean over their scans and over seeds.",
        )


def add_residuals(figures: Figures, cohort: str, curves: Curves, metrics: pandas.DataFrame) -> None:
    """Histograms of residuals on normal and on anomalous voxels, of approaches with maps."""
    if not curves:
        return
    histograms = {
        name: (np.array(c["edges"]), np.array(c["normal"]), np.array(c["anomalous"]))
        for name, c in curves.items()
    }
    titles = dict(zip(metrics["approach"], metrics["title"]))
    figures.add(
        residual_histograms(
            histograms, chi_square={name: c["chi_square"] for name, c in curves.items()}
        ),
        "residuals",
        "Residuals",
        f"{cohort}: residuals of normal and of anomalous voxels",
        "Before the sign prior and the median; residuals of exactly 0 are left out."
        + other_maps(histograms, [titles[name] for name in with_residuals(metrics)]),
    )


def add_fidelity(figures: Figures, cohort: str, metrics: pandas.DataFrame) -> None:
    """Quality and overlap score of every patient; nothing where no reconstruction is judged."""
    quality, overlap = (per_patient(metrics, name) for name in (QUALITY, OVERLAP))
    if not quality:
        return
    names, shared = shared_rows(
        {title: (values, overlap.get(title, np.zeros(0))) for title, values in quality.items()}
    )
    said = [
        f"{name}: quality {_spread(quality[title], '.4g', '.2g')}, overlap "
        f"{_spread(overlap.get(title, np.array([np.nan])), '.3f', '.2f')}"
        for title, name in names.items()
    ]
    figures.add(
        fidelity_distributions(
            {name: quality[title] for title, name in names.items()},
            {name: overlap[title] for title, name in names.items() if title in overlap},
            looks={
                name: figures.looks[title]
                for title, name in names.items()
                if title in figures.looks
            },
        ),
        "fidelity",
        "Fidelity",
        f"{cohort}: anatomical fidelity of reconstructions",
        "What a segmentation of normal anatomy makes of reconstructions. Quality: entropy of the "
        "classes' probabilities on the input minus that on the reconstruction, summed over a "
        "slice; below 0 the reconstruction is the blurrier one. Overlap: mean Dice of the classes "
        "in both. A point is a patient: the mean over slices, scans and seeds. Mean ± standard "
        f"deviation over patients: {'; '.join(said)}.{shared}",
    )


def _spread(values: np.ndarray, mean: str, std: str) -> str:
    """Mean ± standard deviation; of one patient there is no spread."""
    if len(values) < 2:
        return f"{values.mean():{mean}}"
    return f"{values.mean():{mean}} ± {values.std():{std}}"


def add_fidelity_example(figures: Figures, cohort: str, example: Mapping[str, Any]) -> None:
    """A slice and its reconstructions as a segmentation sees them; nothing without any."""
    titles = example["titles"]
    if not titles:
        return
    names, shared = shared_rows({name: [one] for name, one in zip(titles, example["images"])})
    rows = [titles.index(title) for title in names]
    figures.add(
        fidelity_rows(
            {name: example["images"][row] for name, row in zip(names.values(), rows)},
            example["entropy"][rows],
            example["labels"][rows],
            example["classes"],
            orientation=figures.orientation,
        ),
        "fidelity_example",
        "Fidelity",
        f"{cohort}: {example['scan']}: a slice and its reconstructions, segmented",
        "The first test patient's slice with most brain, first seed. Entropy: how unsure the "
        "segmentation is of each pixel. Classes: the most probable ones, whose overlap with those "
        f"of the input is the overlap score. {figures.sides}{shared}",
    )


def add_slices(
    figures: Figures,
    cohort: str,
    protocol: str,
    manifests: Sequence[str],
    one: Mapping[str, Any],
    metrics: pandas.DataFrame,
    labels: Sequence[int],
) -> None:
    """The best, the median and the worst patient of an approach; nothing without a Dice."""
    rows = slice_examples(manifests, one, metrics, protocol, labels)
    if rows:
        figures.add(
            slice_rows(rows, title=one["title"], orientation=figures.orientation),
            f"slices_{one['variant']}",
            "Slices",
            f"{cohort}: {one['title']}: best, median and worst patient",
            "The slice with most lesion voxels of each patient; of several scans that whose "
            f"Dice is closest to the patient's mean. {figures.sides}{spread_words(rows)}",
        )

    if any("thresholded" in row for row in rows):
        figures.add(
            stage_rows(rows, title=one["title"], orientation=figures.orientation),
            f"stages_{one['variant']}",
            "Slices",
            f"{cohort}: {one['title']}: stages of the detection",
            "The same slices: what the network sees and expects, the difference that counts, what "
            "exceeds the threshold of its slice, and what is left when small pieces are dropped. "
            + figures.sides,
        )


def add_boxes(
    figures: Figures,
    cohort: str,
    protocol: str,
    manifests: Sequence[str],
    first: Mapping[str, Mapping[str, Any]],
    metrics: pandas.DataFrame,
    labels: Sequence[int],
) -> None:
    """Boxes around detections and lesions, of the approach with the highest Dice; or nothing."""
    per_title = dice(metrics)
    if not per_title:
        return
    means = {title: values.mean() for title, values in next(iter(per_title.values())).items()}
    best = max(means, key=lambda title: means[title])
    one = next(one for one in first.values() if one["title"] == best)
    rows = slice_examples(manifests, one, metrics, protocol, labels)
    if rows and all("detection" in row for row in rows):
        figures.add(
            box_rows(rows, title=one["title"], orientation=figures.orientation),
            "boxes",
            "Slices",
            f"{cohort}: {one['title']}: boxes around what was detected",
            "The approach with the highest Dice per patient; best, median and worst patient. A box "
            "is that of a piece in this slice; scores of boxes are of whole components. "
            + figures.sides,
        )


def areas(metrics: pandas.DataFrame) -> dict[str, tuple[float, float]]:
    """title -> mean and standard deviation of AUPRC over seeds."""
    chosen = metrics[(metrics["level"] == "cohort") & (metrics["metric"] == "auprc")]
    found = chosen.groupby("title", sort=False)["value"].agg(["mean", "std"])
    return {title: (row["mean"], row["std"]) for title, row in found.iterrows()}


def baseline(
    first: Mapping[str, Mapping[str, Any]], found: Mapping[str, tuple[float, float]]
) -> str:
    """Title of the strongest baseline, or empty."""
    titles = [one["title"] for one in first.values() if one["baseline"]]
    return strongest({title: mean for title, (mean, _) in found.items()}, titles)


def other_maps(histograms: dict, residual: list[str]) -> str:
    """Approaches whose histograms are of something else than residuals, as the end of a caption."""
    names = [title for title in histograms if title not in residual]
    if not names:
        return ""
    return f" No residuals of a reconstruction but values of their maps: {', '.join(names)}."


def dice(metrics: pandas.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """threshold rule -> title -> Dice per patient (mean over their scans and over seeds)."""
    chosen = metrics[(metrics["level"] == "subject") & (metrics["metric"] == "dice")]
    means = chosen.groupby(["threshold_rule", "title", "subject"], sort=False)["value"].mean()
    found: dict[str, dict[str, np.ndarray]] = {}
    for (rule, title), values in means.groupby(level=[0, 1], sort=False):
        found.setdefault(rule, {})[title] = values.to_numpy()
    return found


def per_patient(metrics: pandas.DataFrame, metric: str) -> dict[str, np.ndarray]:
    """title -> a metric without threshold per patient (mean over their scans and over seeds)."""
    chosen = metrics[(metrics["level"] == "subject") & (metrics["metric"] == metric)]
    means = chosen.groupby(["title", "subject"], sort=False)["value"].mean()
    return {title: values.to_numpy() for title, values in means.groupby(level="title", sort=False)}
