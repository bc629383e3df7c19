"""Figures of a whole study: what the single cohorts' figures cannot show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from normscan.figures.labels import metric_label
from normscan.figures.looks import Looks, with_plain
from normscan.figures.style import GREY, legend_height, new_figure, styled

_SHADES = "RdBu_r"


@styled
def correlation_matrices(matrices: Mapping[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """Correlations between measures over approaches, a panel per cohort (Fig. 10).

    Parameters
    ----------
    matrices : cohort -> (measures, matrix in [-1, 1]; NaN stays white).
    """
    columns = min(2, max(1, len(matrices)))
    rows = -(-max(1, len(matrices)) // columns)
    figure = new_figure(4.6 * columns + 0.6, 3.9 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    drawn = None
    for axes, (cohort, (names, matrix)) in zip(panels.ravel(), matrices.items()):
        drawn = axes.imshow(matrix, cmap=_SHADES, vmin=-1, vmax=1)
        labels = [_short(name) for name in names]
        axes.set_xticks(range(len(names)), labels, rotation=35, ha="right")
        axes.set_yticks(range(len(names)), labels)
        axes.grid(visible=False)
        axes.set_title(cohort)
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            ink = "white" if abs(value) > 0.6 else "#222222"
            text = f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    for axes in panels.ravel()[len(matrices) :]:
        axes.set_visible(False)
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, label="Pearson correlation", shrink=0.8)
    return figure


@styled
def training_shares(
    values: Mapping[str, Mapping[str, Mapping[float, tuple[float, float]]]],
    *,
    label: str = "AUPRC",
    looks: Looks | None = None,
) -> Figure:
    """A measure over the share of the healthy subjects trained on, a panel per cohort (Fig. 8).

    Parameters
    ----------
    values : cohort -> approach -> share in per cent -> (mean, spread over seeds).
    looks : of ``figures.looks``; approaches without one are plain.
    """
    return _lines(values, "training subjects (%)", label, looks)


@styled
def domain_shift(values: Mapping[str, Mapping[str, tuple[float, float]]]) -> Figure:
    """Residual of normal voxels of every cohort: how foreign its scans are to each model.

    Parameters
    ----------
    values : approach -> cohort -> (mean, spread over seeds).
    """
    names = list(values)
    cohorts = list(dict.fromkeys(cohort for one in values.values() for cohort in one))
    figure = new_figure(7.2, 1.1 + 0.26 * max(1, len(names)))
    axes = figure.add_subplot()
    markers = "osD^vP*X"
    shades = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222"]
    places = {name: place for place, name in enumerate(reversed(names))}
    for number, cohort in enumerate(cohorts):
        points = [(values[n][cohort], places[n]) for n in names if cohort in values[n]]
        x = [mean for (mean, _), _ in points]
        spread = [0.0 if np.isnan(std) else std for (_, std), _ in points]
        y = [place for _, place in points]
        axes.errorbar(
            x, y, xerr=spread, linestyle="none", marker=markers[number % len(markers)],
            color=shades[number % len(shades)], markersize=5, capsize=2, label=cohort,
        )  # fmt: skip
    axes.set_yticks(list(places.values()), list(places))
    axes.set_xlabel("mean absolute residual of normal voxels")
    axes.set_xlim(left=0)
    figure.legend(loc="outside right upper", title="cohort", alignment="left")
    return figure


@styled
def complexity(
    values: Mapping[str, Mapping[str, tuple[int, float, float]]],
    *,
    label: str = "AUPRC",
    looks: Looks | None = None,
) -> Figure:
    """A measure over the number of parameters: unified and published networks (Fig. 9).

    Parameters
    ----------
    values : cohort -> approach -> (parameters, mean, spread over seeds).
    looks : of ``figures.looks``; approaches without one are plain.
    """
    look = with_plain((name for one in values.values() for name in one), looks)
    columns = min(2, max(1, len(values)))
    rows = -(-max(1, len(values)) // columns)
    figure = new_figure(4.4 * columns + 2.2, _with_legend(3.4 * rows, values))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (cohort, entries) in zip(panels.ravel(), values.items()):
        for name, (parameters, mean, spread) in entries.items():
            error = None if np.isnan(spread) else spread
            axes.errorbar(
                parameters, mean, yerr=error, marker=look[name].marker, color=look[name].colour,
                linestyle="none", markersize=6, capsize=2, label=name,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set(xlabel="parameters of the model", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.set_title(cohort)
    for axes in panels.ravel()[len(values) :]:
        axes.set_visible(False)
    _legend_once(figure, panels)
    return figure


@styled
def significance_matrix(
    names: Sequence[str], difference: np.ndarray, p: np.ndarray, *, title: str = "", label: str = ""
) -> Figure:
    """Mean difference of every pair of approaches; those that hold after correction are marked.

    Parameters
    ----------
    names : approaches, best first.
    difference : (n, n), row minus column. p : (n, n) corrected p values; NaN where there is none.
    """
    side = 1.9 + 0.34 * len(names)
    figure = new_figure(side + 1.3, side)
    axes = figure.add_subplot()
    limit = np.nanmax(np.abs(difference)) if np.isfinite(difference).any() else 1.0
    shades = axes.imshow(difference, cmap=_SHADES, vmin=-(limit or 1), vmax=limit or 1)
    for row, column in np.argwhere(p < 0.05):
        axes.text(column, row, "*", ha="center", va="center", color="#111111", fontsize=11)
    axes.set_xticks(range(len(names)), names, rotation=50, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.set_title(title)
    figure.colorbar(shades, ax=axes, label=f"row minus column: {label}", shrink=0.7)
    return figure


@styled
def rank_scatter(
    pairs: Mapping[str, Mapping[str, tuple[float, float]]],
    notes: Mapping[str, str],
    *,
    across: str = "published AUPRC",
    up: str = "AUPRC of this run",
    looks: Looks | None = None,
) -> Figure:
    """Published against measured values; axes of their own, since scans and training differ.

    Parameters
    ----------
    pairs : panel -> approach -> (published, measured).
    notes : panel -> text below its title.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    look = with_plain((name for one in pairs.values() for name in one), looks)
    columns = min(4, max(1, len(pairs)))
    rows = -(-max(1, len(pairs)) // columns)
    figure = new_figure(2.9 * columns + 2.2, _with_legend(2.9 * rows, pairs))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (panel, entries) in zip(panels.ravel(), pairs.items()):
        for name, (x, y) in entries.items():
            axes.plot(
                x, y, marker=look[name].marker, color=look[name].colour, linestyle="none",
                markersize=6, label=name,
            )  # fmt: skip
        axes.set(xlabel=across, ylabel=up)
        axes.set_xlim(0, 1.12 * max((x for x, _ in entries.values()), default=1.0))
        # Room above the points for the note.
        axes.set_ylim(0, 1.3 * max((y for _, y in entries.values()), default=1.0))
        axes.set_title(panel, fontsize=9)
        axes.annotate(
            notes.get(panel, ""), (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=7.5,
            color=GREY,
        )  # fmt: skip
    for axes in panels.ravel()[len(pairs) :]:
        axes.set_visible(False)
    _legend_once(figure, panels)
    return figure


@styled
def setting_lines(
    values: Mapping[str, Mapping[str, Mapping[float, tuple[float, float]]]],
    *,
    across: str,
    label: str,
    looks: Looks | None = None,
) -> Figure:
    """A measure over a setting, a panel per cohort (You et al. 2019, Figs. 2a and 3).

    Parameters
    ----------
    values : cohort -> name of a line -> value of the setting -> (mean, spread over seeds).
    looks : of the lines; those without one are plain.
    """
    return _lines(values, across, label, looks, logarithmic=False)


@styled
def tuning_lines(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    chosen: Mapping[str, tuple[float, float]],
    *,
    across: str,
    label: str,
    looks: Looks | None = None,
) -> Figure:
    """What a setting does on healthy scans, and which value was taken (You et al. 2019, Fig. 2b).

    Parameters
    ----------
    lines : approach -> (values of the setting, results; NaN where there was none).
    chosen : approach -> (value, result).
    """
    look = with_plain(lines, looks)
    figure = new_figure(6.6, legend_height(3.6, len(lines)))
    axes = figure.add_subplot()
    for name, (x, y) in lines.items():
        axes.plot(
            x, y, color=look[name].colour, linestyle=look[name].line, marker=look[name].marker,
            markersize=4, label=name,
        )  # fmt: skip
        if name in chosen:
            axes.plot(*chosen[name], marker="o", markersize=11, markerfacecolor="none",
                      markeredgecolor=look[name].colour, linestyle="none")  # fmt: skip
    axes.set(xlabel=across, ylabel=label)
    axes.set_ylim(bottom=0)
    if lines:
        figure.legend(loc="outside right upper", alignment="left")
    return figure


def _lines(
    values, across: str, label: str, looks: Looks | None, *, logarithmic: bool = True
) -> Figure:
    look = with_plain((name for one in values.values() for name in one), looks)
    columns = min(2, max(1, len(values)))
    rows = -(-max(1, len(values)) // columns)
    figure = new_figure(4.2 * columns + 2.4, _with_legend(3.3 * rows, values))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (cohort, entries) in zip(panels.ravel(), values.items()):
        ticks = sorted({x for points in entries.values() for x in points})
        for name, points in entries.items():
            x = sorted(points)
            means = [points[one][0] for one in x]
            spread = [np.nan_to_num(points[one][1]) for one in x]
            axes.errorbar(
                x, means, yerr=spread, color=look[name].colour, linestyle=look[name].line,
                marker=look[name].marker, capsize=2, label=name,
            )  # fmt: skip
        if logarithmic:
            axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{one:g}" for one in ticks])
        axes.minorticks_off()
        axes.set(xlabel=across, ylabel=label)
        axes.set_ylim(bottom=0)
        axes.set_title(cohort)
    for axes in panels.ravel()[len(values) :]:
        axes.set_visible(False)
    _legend_once(figure, panels)
    return figure


def _with_legend(usual: float, panels: Mapping[str, Mapping]) -> float:
    """Height in inches of a figure that has a legend of all that its panels show."""
    return legend_height(usual, len({name for entries in panels.values() for name in entries}))


def _legend_once(figure: Figure, panels) -> None:
    """One legend for all panels, outside on the right."""
    found: dict[str, Artist] = {}
    for axes in panels.ravel():
        for handle, name in zip(*axes.get_legend_handles_labels()):
            found.setdefault(name, handle)
    if found:
        figure.legend(
            list(found.values()), list(found), loc="outside right upper", alignment="left"
        )


def _short(measure: str) -> str:
    return {"best_dice": "best Dice (oracle)"}.get(measure, metric_label(measure))
