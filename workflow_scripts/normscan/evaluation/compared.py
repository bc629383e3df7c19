"""Approaches of a protocol under their titles, as figures and tables compare them."""

from __future__ import annotations

import pandas

from normscan.evaluation import study


class Compared:
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

    def pooled(self, metric: str, rule: str, cohort: str) -> dict[str, float]:
        """title -> mean over seeds of :meth:`pooled_seeds`."""
        found = self.pooled_seeds(metric, rule, cohort)
        return {title: mean for title, (mean, _) in found.items()}

    def pooled_seeds(self, metric: str, rule: str, cohort: str) -> dict[str, tuple[float, float]]:
        """title -> mean and spread over seeds of a metric of all test patients (level ``cohort``).

        Of models trained on all subjects, in the order of the protocol; without missing values.
        """
        rows = self.metrics[
            (self.metrics["cohort"] == cohort)
            & (self.metrics["split"] == "test")
            & (self.metrics["level"] == "cohort")
            & (self.metrics["metric"] == metric)
            & (self.metrics["threshold_rule"] == rule)
        ]
        found = rows.dropna(subset="value").groupby("approach")["value"].agg(["mean", "std"])
        means, spreads = found["mean"].to_dict(), found["std"].to_dict()
        return {t: (float(means[t]), float(spreads[t])) for t in self.whole if t in means}

    def of_whole(self, metric: str, cohort: str) -> dict[str, tuple[float, float]]:
        """The same, of models trained on all subjects."""
        return {t: v for t, v in self.values(metric, cohort).items() if t in self.whole}

    def baseline(self, cohort: str) -> str:
        """The strongest baseline on a cohort; "" when there is none."""
        areas = {title: mean for title, (mean, _) in self.of_whole("auprc", cohort).items()}
        return study.strongest(areas, [t for t in areas if self.by_title[t]["baseline"]])

    def subject_of(self, cohort: str) -> dict[str, str]:
        """scan -> patient."""
        table = self.metrics
        rows = table[(table["cohort"] == cohort) & (table["level"] == "scan")]
        return dict(zip(rows["scan"], rows["subject"]))
