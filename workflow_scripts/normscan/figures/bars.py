"""One number per approach as bars, a panel per cohort (as Fig. 5 of Baur et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.looks import Emphasis, Looks
from normscan.figures.style import GREY, new_figure, styled


@styled
def metric_bars(
    values: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    label: str = "AUPRC",
    baselines: Mapping[str, str] | str = "",
    looks: Looks | None = None,
) -> Figure:
    """Horizontal bars, best first, with the spread over seeds; the baseline as a line.

    Parameters
    ----------
    values : cohort -> approach -> (mean, standard deviation over seeds; NaN with one seed).
    label : name of the metric.
    baselines : the approach to beat, for all cohorts or per cohort.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    cohorts = list(values)
    columns = min(2, max(1, len(cohorts)))
    rows = -(-max(1, len(cohorts)) // columns)
    longest = max((len(values[cohort]) for cohort in cohorts), default=1)
    figure = new_figure(4.9 * columns, rows * (0.9 + 0.24 * longest))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(cohorts) :]:
        axes.set_visible(False)
    for axes, cohort in zip(panels, cohorts):
        baseline = baselines if isinstance(baselines, str) else baselines.get(cohort, "")
        _panel(axes, values[cohort], looks, baseline)
        axes.set_title(cohort)
        axes.set_xlabel(label)
    return figure


def _panel(
    axes, entries: Mapping[str, tuple[float, float]], looks: Looks | None, baseline: str
) -> None:
    known = [name for name in entries if np.isfinite(entries[name][0])]
    order = sorted(known, key=lambda name: (entries[name][0], name))
    means = [entries[name][0] for name in order]
    spread = [entries[name][1] if np.isfinite(entries[name][1]) else 0.0 for name in order]
    shown = Emphasis({name: entries[name][0] for name in order}, looks)
    colours = [shown.looks[name].colour for name in order]
    axes.barh(order, means, color=colours, height=0.68)
    axes.grid(axis="y", visible=False)
    right = max((mean + error for mean, error in zip(means, spread)), default=1.0) or 1.0
    for place, (mean, error) in enumerate(zip(means, spread)):
        if error:
            axes.errorbar(mean, place, xerr=error, color="#222222", capsize=2, linewidth=1)
        # On a ground of its own: the line of the baseline would cross it out.
        axes.text(
            mean + error + 0.015 * right, place, f"{mean:.3f}", va="center", fontsize=7.5, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    axes.set_xlim(0, right * 1.16)
    if baseline in entries and np.isfinite(entries[baseline][0]):
        axes.axvline(entries[baseline][0], color=GREY, linewidth=1, linestyle=(0, (3, 2)))
