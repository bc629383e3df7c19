"""Figures of one cohort under one protocol, as PNG and SVG, with a list for the report."""

from pathlib import Path

import numpy as np
import pandas

from job import run
from normscan.evaluation.examples import typical_scans
from normscan.evaluation.study import strongest, with_residuals
from normscan.evaluation.truth import fullest_slice, load_truth
from normscan.figures.bars import metric_bars
from normscan.figures.curves import froc_curves, pr_curves, roc_curves
from normscan.figures.dice import dice_distributions
from normscan.figures.residuals import residual_histograms
from normscan.figures.slices import slice_rows
from normscan.figures.style import save_figure
from normscan.files import load_nifti, read_json, read_tsv, write_json

SPLIT = "test"


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    folder = Path(params.folder)
    first: dict[str, dict] = {}
    for one in params.approaches:
        first.setdefault(one["variant"], one)
    curves = {
        one["title"]: read_json(path)[SPLIT]
        for one, path in zip(params.approaches, files.curves)
        if first[one["variant"]] is one
    }
    metrics = read_tsv(files.metrics, dtype={"subject": str, "scan": str})
    metrics = metrics[(metrics["cohort"] == w.cohort) & (metrics["split"] == SPLIT)]
    titles = {f"{w.protocol}/{name}": one["title"] for name, one in first.items()}
    metrics = metrics[metrics["approach"].isin(titles)].assign(
        title=lambda table: table["approach"].map(titles)
    )
    done = []

    def add(figure, name: str, section: str, title: str, caption: str) -> None:
        png, svg = save_figure(figure, folder / name)
        done.append(
            {
                "section": section,
                "title": f"{w.cohort}: {title}",
                "caption": caption,
                "png": str(png),
                "svg": str(svg),
            }
        )

    seed_note = "Curves of the first seed; voxels of all test patients together."
    pr = {
        name: (np.array(c["recall"]), np.array(c["precision"]), c["auprc"])
        for name, c in curves.items()
    }
    prevalence = next(iter(curves.values()))["prevalence"]
    add(pr_curves(pr, prevalence=prevalence), "pr", "Curves", "precision and recall", seed_note)
    roc = {
        name: (np.array(c["fpr"]), np.array(c["recall"]), c["auroc"]) for name, c in curves.items()
    }
    add(
        roc_curves(roc),
        "roc",
        "Curves",
        "ROC",
        seed_note + " Under heavy class imbalance ROC curves flatter; see precision and recall.",
    )
    froc = {
        name: (np.array(c["froc"]["false_positives"]), np.array(c["froc"]["recall"], float))
        for name, c in curves.items()
        if c["froc"]["threshold"]
    }
    if froc:
        add(
            froc_curves(froc),
            "froc",
            "Curves",
            "free-response ROC",
            "Lesions found (any voxel) against detections that touch none, at thresholds that "
            "fixed shares of healthy voxels exceed.",
        )
    found = areas(metrics)
    add(
        metric_bars({w.cohort: found}, baselines=baseline(first, found)),
        "auprc",
        "Curves",
        "AUPRC",
        "Mean over seeds with standard deviation, where there are several.",
    )
    scores = dice(metrics)
    if scores:
        add(
            dice_distributions(scores),
            "dice",
            "Dice",
            "Dice per patient",
            "At the operating points of the threshold rules; none is chosen on these patients. A "
            "point is a patient: the mean over their scans and over seeds.",
        )
    histograms = {
        name: (np.array(c["edges"]), np.array(c["normal"]), np.array(c["anomalous"]))
        for name, c in curves.items()
    }
    add(
        residual_histograms(
            histograms, chi_square={name: c["chi_square"] for name, c in curves.items()}
        ),
        "residuals",
        "Residuals",
        "residuals of normal and of anomalous voxels",
        "Before the sign prior and the median; residuals of exactly 0 are left out."
        + other_maps(histograms, [titles[name] for name in with_residuals(metrics)]),
    )
    for one in first.values():
        rows = slice_examples(files.filtered, one, metrics, w.protocol, params.lesion_labels)
        if rows:
            add(
                slice_rows(rows, title=one["title"]),
                f"slices_{one['variant']}",
                "Slices",
                f"{one['title']}: best, median and worst patient",
                "The slice with most lesion voxels of each patient; of several scans that whose "
                "Dice is closest to the patient's mean.",
            )
    write_json(snakemake.output[0], {"cohort": w.cohort, "protocol": w.protocol, "figures": done})


def curve(one: dict, across: str, up: str, area: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Points of a curve and the area under it."""
    return np.array(one[across]), np.array(one[up]), one[area]


def areas(metrics) -> dict[str, tuple[float, float]]:
    """title -> mean and standard deviation of AUPRC over seeds."""
    chosen = metrics[(metrics["level"] == "cohort") & (metrics["metric"] == "auprc")]
    found = chosen.groupby("title", sort=False)["value"].agg(["mean", "std"])
    return {title: (row["mean"], row["std"]) for title, row in found.iterrows()}


def baseline(first: dict[str, dict], found: dict[str, tuple[float, float]]) -> str:
    """Title of the strongest training-free approach, or empty."""
    titles = [one["title"] for one in first.values() if one["training_free"]]
    return strongest({title: mean for title, (mean, _) in found.items()}, titles)


def other_maps(histograms: dict, residual: list[str]) -> str:
    """Approaches whose histograms are of something else than residuals, as the end of a caption."""
    names = [title for title in histograms if title not in residual]
    if not names:
        return ""
    return f" No residuals of a reconstruction but values of their maps: {', '.join(names)}."


def dice(metrics) -> dict[str, dict[str, np.ndarray]]:
    """threshold rule -> title -> Dice per patient (mean over their scans and over seeds)."""
    chosen = metrics[(metrics["level"] == "subject") & (metrics["metric"] == "dice")]
    means = chosen.groupby(["threshold_rule", "title", "subject"], sort=False)["value"].mean()
    found: dict[str, dict[str, np.ndarray]] = {}
    for (rule, title), values in means.groupby(level=[0, 1], sort=False):
        found.setdefault(rule, {})[title] = values.to_numpy()
    return found


def slice_examples(
    manifests: list[str], one: dict, metrics, protocol: str, labels: list[int]
) -> list[dict]:
    """Rows for the best, the median and the worst patient of an approach by its own Dice."""
    scans = {}
    rule = ""
    for path in manifests:
        if f"/{one['folder']}/" in path:
            content = read_json(path)
            rule = content["rule"]
            scans |= content["scans"]
    own = metrics[
        (metrics["approach"] == f"{protocol}/{one['variant']}")
        & (metrics["seed"] == one["seed"])
        & (metrics["level"] == "scan")
        & (metrics["metric"] == "dice")
        & (metrics["threshold_rule"] == rule)
        & metrics["scan"].isin(list(scans))
    ]
    patients = typical_scans(
        dict(zip(own["scan"], own["value"])), dict(zip(own["scan"], own["subject"]))
    )
    last = len(patients) - 1
    names = {last: "worst", 0: "best"}
    rows = []
    for place in sorted({0, len(patients) // 2, last} if len(patients) else ()):
        patient = patients.iloc[place]
        label = f"{names.get(place, 'median')}\n{dice_label(patient)}"
        rows.append(example(scans[patient["scan"]], label, one, labels))
    return rows


def dice_label(patient: pandas.Series) -> str:
    """The scan that is shown, its Dice, and the patient's mean where there are more scans."""
    mean = f"\nmean of {patient['scans']}: {patient['mean']:.2f}" if patient["scans"] > 1 else ""
    return f"{patient['scan']}\nDice {patient['value']:.2f}{mean}"


def example(files: dict, label: str, one: dict, labels: list[int]) -> dict:
    """One row: the axial slice with most lesion voxels of a scan, of the labels that count."""
    lesion, ignored = load_truth(files["lesions"], labels)
    z = fullest_slice(lesion)
    row = {"label": label, "truth": lesion[:, :, z], "ignored": ignored[:, :, z]}
    keys = {"image": "input", "map": "filtered", "detection": "detection"}
    for name, key in {**keys, "reconstruction": "reconstruction"}.items():
        if key in files:
            row[name] = load_nifti(files[key])[0][:, :, z]
    if "restoration" in one["detector"]:
        row["reconstruction_name"] = "restored"
    return row


run(snakemake, main)
