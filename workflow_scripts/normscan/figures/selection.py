"""Choosing without labels: the score that chooses against what it was to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from normscan.evaluation.compared import Compared
from normscan.evaluation.metrics import NO_THRESHOLD
from normscan.evaluation.selection import Scores
from normscan.evaluation.study import rank_correlation
from normscan.figures.collection import Figures
from normscan.figures.looks import Emphasis, Looks
from normscan.figures.style import legend_height, new_figure, styled


def add_choices(
    figures: Figures, of: Compared, judged: Sequence[str], scores: Mapping[str, Scores]
) -> None:
    """A figure per cohort with truth: AUPRC of every approach against its label-free score."""
    for cohort in judged:
        own, truth = scores[cohort].values(), of.pooled("auprc", NO_THRESHOLD, cohort)
        known = [name for name in truth if np.isfinite(own.get(name, np.nan))]
        both = {name: (own[name], truth[name]) for name in known}
        if not both:
            continue
        spread = {name: scores[cohort].interval("auprc", name) for name in both}
        found = rank_correlation(own, truth)
        said = f"Spearman's ρ = {found['rho']:.2f}. " if np.isfinite(found["rho"]) else ""
        figures.add(
            choice_points(both, spread, scores[cohort].chosen(list(both)), figures.looks),
            f"selection_{cohort}",
            "Study",
            f"Chosen without labels, {cohort}",
            f"AUPRC on {cohort} against AUPRC on synthetic anomalies "
            f"({', '.join(scores[cohort].cohorts)}; bars: 95 % interval over hosts). {said}A ring "
            "marks what would be chosen; the best for these patients is the highest point.",
        )


@styled
def choice_points(
    points: Mapping[str, tuple[float, float]],
    spread: Mapping[str, tuple[float, float]],
    chosen: str,
    looks: Looks | None = None,
) -> Figure:
    """A point per approach: its score without labels, and what labels say of it.

    Parameters
    ----------
    points : approach -> (AUPRC on synthetic anomalies, AUPRC on patients).
    spread : approach -> interval of the first; NaN where there is none.
    chosen : the approach that gets a ring.
    """
    shown = Emphasis({name: truth for name, (_, truth) in points.items()}, looks)
    figure = new_figure(6.6, legend_height(4.0, shown.lines))
    axes = figure.add_subplot()
    for name in shown.order():
        score, truth = points[name]
        look = shown.looks[name]
        colour = look.colour
        axes.plot(spread[name], [truth, truth], color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(
            score, truth, color=colour, linestyle="none", marker=look.marker or ".", markersize=6,
            label=shown.label(name),
        )  # fmt: skip
        if name == chosen:
            axes.plot(score, truth, marker="o", markersize=13, markerfacecolor="none",
                      markeredgecolor=colour, linestyle="none")  # fmt: skip
    axes.set(xlabel="AUPRC on synthetic anomalies (no labels)", ylabel="AUPRC on patients")
    across = [value for name, (score, _) in points.items() for value in (score, *spread[name])]
    axes.set(xlim=(0, _end(across)), ylim=(0, _end([truth for _, truth in points.values()])))
    lines = dict(zip(*reversed(axes.get_legend_handles_labels())))
    names = list(lines)[::-1]
    figure.legend([lines[name] for name in names], names, loc="outside right upper",
                  alignment="left")  # fmt: skip
    return figure


def _end(values: Sequence[float]) -> float:
    """Of an axis from 0: a tenth beyond the greatest value, but not beyond 1."""
    return min(1.0, 1.1 * float(np.nanmax(values))) or 1.0
