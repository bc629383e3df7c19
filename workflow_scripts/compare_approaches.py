"""All approaches of a protocol against each other: tables and figures over cohorts."""

from pathlib import Path

import numpy as np
import pandas

from job import run
from normscan.evaluation import study
from normscan.evaluation.examples import typical_scans
from normscan.evaluation.published import load_published
from normscan.evaluation.significance import smallest_p
from normscan.evaluation.truth import fullest_slice, load_truth
from normscan.figures.bars import metric_bars
from normscan.figures.slices import approach_rows
from normscan.figures.study import (
    complexity,
    correlation_matrices,
    domain_shift,
    rank_scatter,
    significance_matrix,
    training_shares,
)
from normscan.figures.style import save_figure
from normscan.files import load_nifti, read_json, read_tsv, write_json, write_tsv

# Approaches side by side in one picture.
ABREAST = 6
RANKS = ["cohort", "published data set", "approaches", "rank correlation", "p"]


class Study:
    """What the figures are drawn from: metrics with titles instead of paths."""

    def __init__(self, metrics: pandas.DataFrame, protocol: str, approaches: list[dict]):
        first = {}
        for one in approaches:
            first.setdefault(f"{protocol}/{one['variant']}", one)
        chosen = metrics[metrics["approach"].isin(first)]
        titles = {name: one["title"] for name, one in first.items()}
        self.metrics = chosen.assign(approach=chosen["approach"].map(titles))
        self.by_title = {one["title"]: one for one in first.values()}
        self.cohorts = list(dict.fromkeys(self.metrics["cohort"]))
        self.summary = study.summary(self.metrics)
        # Parts of the training subjects have a figure of their own.
        self.whole = [title for title, one in self.by_title.items() if one["share"] == 100]
        self.residual = [t for t in self.whole if t in study.with_residuals(self.summary)]

    def values(self, metric: str, cohort: str) -> dict[str, tuple[float, float]]:
        """title -> (mean, spread over seeds), in the order of the protocol."""
        table = self.summary
        rows = table[(table["cohort"] == cohort) & (table["metric"] == metric)]
        found = {row.approach: (row.mean, row.std) for row in rows.itertuples()}
        return {title: found[title] for title in self.by_title if title in found}

    def of_whole(self, metric: str, cohort: str) -> dict[str, tuple[float, float]]:
        """The same, of models trained on all subjects."""
        return {t: v for t, v in self.values(metric, cohort).items() if t in self.whole}

    def baseline(self, cohort: str) -> str:
        """The strongest training-free approach on a cohort; "" when there is none."""
        areas = {title: mean for title, (mean, _) in self.of_whole("auprc", cohort).items()}
        return study.strongest(areas, [t for t in areas if self.by_title[t]["training_free"]])

    def subject_of(self, cohort: str) -> dict[str, str]:
        """scan -> patient."""
        table = self.metrics
        rows = table[(table["cohort"] == cohort) & (table["level"] == "scan")]
        return dict(zip(rows["scan"], rows["subject"]))


class Figures:
    """Figures saved so far, as the report lists them."""

    def __init__(self, folder: Path):
        self.folder, self.done = folder, []

    def add(self, figure, name: str, section: str, title: str, caption: str) -> None:
        """Save a figure under its name."""
        png, svg = save_figure(figure, self.folder / name)
        entry = {"section": section, "title": title, "caption": caption}
        self.done.append({**entry, "png": str(png), "svg": str(svg)})


def main(snakemake) -> None:
    params, files, out = snakemake.params, snakemake.input, snakemake.output
    metrics = read_tsv(files.metrics, dtype={"subject": str, "scan": str})
    of = Study(metrics, snakemake.wildcards.protocol, params.approaches)
    whole = of.metrics[of.metrics["approach"].isin(of.whole)]
    figures = Figures(Path(params.folder))
    patients = [study.patient_statistics(whole, cohort, params.rule) for cohort in of.cohorts]
    tests = [study.comparisons(whole, cohort, params.rule) for cohort in of.cohorts]
    write_tsv(out.patients, pandas.concat(patients, ignore_index=True))
    write_tsv(out.tests, pandas.concat(tests, ignore_index=True))
    add_bars(figures, of)
    add_shares(figures, of)
    add_shift(figures, of)
    add_networks(figures, of, {Path(p).parent.parent.name: read_json(p) for p in files.models})
    write_tsv(out.correlations, add_correlations(figures, of))
    for cohort, table in zip(of.cohorts, tests):
        add_significance(figures, cohort, table[table["metric"] == "auprc"])
    for cohort in of.cohorts:
        maps = [path for path in files.maps if f"/detected/{cohort}/" in path]
        add_examples(figures, cohort, of, maps, params.lesion_labels[cohort])
    ranks, beside = published(figures, of) if params.published else nothing_published()
    write_tsv(out.ranks, ranks)
    write_tsv(out.beside, beside)
    write_json(out.figures, {"figures": figures.done})


def add_bars(figures: Figures, of: Study) -> None:
    """AUPRC of all approaches on all cohorts (Fig. 5)."""
    baselines = {cohort: of.baseline(cohort) for cohort in of.cohorts}
    line = " The dashed line is the strongest training-free baseline."
    figures.add(
        metric_bars(
            {cohort: of.of_whole("auprc", cohort) for cohort in of.cohorts}, baselines=baselines
        ),
        "auprc",
        "Study",
        "AUPRC of all approaches",
        "Voxels of all test patients together; mean over seeds with standard deviation."
        + (line if any(baselines.values()) else ""),
    )


def add_shares(figures: Figures, of: Study) -> None:
    """Training on parts of the healthy subjects (Fig. 8)."""
    if len({one["share"] for one in of.by_title.values()}) < 2:
        return
    shares: dict[str, dict] = {}
    for cohort in of.cohorts:
        found: dict[str, dict[float, tuple[float, float]]] = {}
        for title, value in of.values("auprc", cohort).items():
            one = of.by_title[title]
            if one["model"] != "none":
                found.setdefault(one["name"], {})[one["share"]] = value
        shares[cohort] = {name: points for name, points in found.items() if len(points) > 1}
    figures.add(
        training_shares(shares),
        "training_shares",
        "Study",
        "AUPRC and the number of training subjects",
        "Smaller shares are contained in larger ones; validation subjects are the same.",
    )


def add_shift(figures: Figures, of: Study) -> None:
    """Residual of normal voxels of every cohort (domain shift)."""
    if len(of.cohorts) < 2:
        return
    by_cohort = {cohort: of.of_whole("l1_normal", cohort) for cohort in of.cohorts}
    values = {
        title: {cohort: found[title] for cohort, found in by_cohort.items() if title in found}
        for title in of.residual
    }
    if not values:
        return
    figures.add(
        domain_shift(values),
        "domain_shift",
        "Study",
        "Domain shift: residuals of normal voxels",
        "The same models on every cohort; the larger the residual of normal voxels, the more "
        "foreign a cohort's scans are to a model." + left_out(of),
    )


def add_networks(figures: Figures, of: Study, models: dict[str, dict]) -> None:
    """AUPRC and number of parameters, when networks differ (Fig. 9)."""
    networks = dict.fromkeys(one["network"] for one in of.by_title.values() if one["network"])
    if len(networks) < 2:
        return
    values = {}
    for cohort in of.cohorts:
        entries = of.of_whole("auprc", cohort)
        values[cohort] = {
            title: (models[of.by_title[title]["model"]]["parameters"], *value)
            for title, value in entries.items()
            if of.by_title[title]["model"] in models
        }
    figures.add(
        complexity(values),
        "networks",
        "Study",
        "AUPRC and the size of the model",
        f"Networks: {', '.join(networks)}. Parameters of all parts of a model.",
    )


def add_correlations(figures: Figures, of: Study) -> pandas.DataFrame:
    """Correlation matrices of measures over approaches (Fig. 10), drawn and as a table."""
    matrices, rows = {}, []
    chosen = of.summary[of.summary["approach"].isin(of.whole)]
    for cohort in of.cohorts:
        matrix = study.correlations(chosen, cohort)
        matrices[cohort] = (list(matrix.columns), matrix.to_numpy(float))
        for first in matrix.columns:
            rows += [
                [cohort, first, second, matrix.loc[first, second]] for second in matrix.columns
            ]
    if len(of.residual) >= study.FEWEST:
        figures.add(
            correlation_matrices(matrices),
            "correlations",
            "Study",
            "Correlations between measures over approaches",
            f"Pearson correlation over {len(of.residual)} approaches (means over seeds)."
            + left_out(of),
        )
    return pandas.DataFrame(rows, columns=["cohort", "first", "second", "correlation"])


def left_out(of: Study) -> str:
    """Approaches without a residual, as the end of a caption."""
    names = [title for title in of.whole if title not in of.residual]
    if not names:
        return ""
    return f" Left out, as their maps are no residuals of a reconstruction: {', '.join(names)}."


def add_significance(figures: Figures, cohort: str, table: pandas.DataFrame) -> None:
    """Differences between all pairs of approaches."""
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    patients = int(table["patients"].max()) if len(table) else 0
    if len(names) < 2 or patients < 2:
        return
    mean = dict.fromkeys(names, 0.0)
    pairs = list(zip(table["first"], table["second"], table["difference"], table["p_holm"]))
    for one, other, value, _ in pairs:
        if np.isfinite(value):
            mean[one] += value
            mean[other] -= value
    names.sort(key=lambda name: -mean[name])
    place = {name: number for number, name in enumerate(names)}
    difference, p = (np.full((len(names), len(names)), np.nan) for _ in range(2))
    for one, other, value, corrected in pairs:
        i, j = place[one], place[other]
        difference[i, j], difference[j, i] = value, -value
        p[i, j] = p[j, i] = corrected
    possible = smallest_p(patients, len(table))
    remark = (
        f" So few patients cannot make a difference between {len(names)} approaches significant."
        if possible >= 0.05
        else ""
    )
    figures.add(
        significance_matrix(names, difference, p, title=cohort, label="AUPRC per patient"),
        f"significance_{cohort}",
        "Study",
        f"{cohort}: differences between approaches",
        f"Mean difference of AUPRC over {patients} patients; * p < 0.05 in a paired Wilcoxon test "
        f"after Holm's correction over all pairs.{remark}",
    )


def add_examples(
    figures: Figures, cohort: str, of: Study, manifests: list[str], labels: list[int]
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


def slices_of(paths: dict, z: int) -> dict:
    """Reconstruction and map of one slice."""
    keys = {"reconstruction": "reconstruction", "map": "filtered"}
    return {
        name: load_nifti(paths[key])[0][:, :, z] if key in paths else None
        for name, key in keys.items()
    }


def published(figures: Figures, of: Study) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Rank correlations with published tables, and published beside measured values."""
    table = load_published("baur2021")
    ranks, pairs, notes = [], {}, {}
    beside = {"approach": of.whole}
    for cohort in of.cohorts:
        ours = {title: mean for title, (mean, _) in of.of_whole("auprc", cohort).items()}
        beside[f"this run: {cohort}"] = [ours.get(title, np.nan) for title in of.whole]
        for dataset, rows in table.groupby("dataset", sort=False):
            theirs = dict(zip(rows["approach"], rows["auprc"]))
            found = study.rank_correlation(ours, theirs)
            ranks.append([cohort, dataset, *found.values()])
            both = {name: (theirs[name], ours[name]) for name in ours if name in theirs}
            panel = f"{cohort}, {dataset}"
            pairs[panel] = both
            notes[panel] = f"rank correlation {found['rho']:.2f}, n = {found['approaches']}"
    for dataset, rows in table.groupby("dataset", sort=False):
        theirs = dict(zip(rows["approach"], rows["auprc"]))
        beside[f"published: {dataset}"] = [theirs.get(title, np.nan) for title in of.whole]
    pairs = {panel: both for panel, both in pairs.items() if len(both) >= study.FEWEST}
    if pairs:
        figures.add(
            rank_scatter(pairs, notes),
            "published",
            "Published and measured",
            "Published AUPRC (Baur et al. 2021) against this run's",
            "Other scans and other training: the order of approaches may be compared, values not.",
        )
    return pandas.DataFrame(ranks, columns=RANKS), pandas.DataFrame(beside)


def nothing_published() -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Tables without rows, for protocols that follow no study with published tables."""
    return pandas.DataFrame(columns=RANKS), pandas.DataFrame(columns=["approach"])


run(snakemake, main)
