"""Figures of a whole study: what the single cohorts' figures cannot show."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from normscan.figures.looks import Emphasis, Looks
from normscan.figures.style import GREY, legend_height, new_figure, styled


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
    shown = _emphasis(
        {panel: {n: mean for n, (_, mean, _) in one.items()} for panel, one in values.items()},
        looks,
    )
    columns = min(2, max(1, len(values)))
    rows = -(-max(1, len(values)) // columns)
    figure = new_figure(4.4 * columns + 2.2, legend_height(3.4 * rows, shown.lines))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (cohort, entries) in zip(panels.ravel(), values.items()):
        for name in (name for name in shown.order() if name in entries):
            parameters, mean, spread = entries[name]
            error, look = None if np.isnan(spread) else spread, shown.looks[name]
            axes.errorbar(
                parameters, mean, yerr=error, marker=look.marker or ".", color=look.colour,
                linestyle="none", markersize=6, capsize=2, label=shown.label(name),
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
    shown = _emphasis(
        {panel: {name: y for name, (_, y) in one.items()} for panel, one in pairs.items()}, looks
    )
    columns = min(4, max(1, len(pairs)))
    rows = -(-max(1, len(pairs)) // columns)
    figure = new_figure(2.9 * columns + 2.2, legend_height(2.9 * rows, shown.lines))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (panel, entries) in zip(panels.ravel(), pairs.items()):
        for name in (name for name in shown.order() if name in entries):
            look = shown.looks[name]
            axes.plot(
                *entries[name], marker=look.marker or ".", color=look.colour, linestyle="none",
                markersize=6, label=shown.label(name),
            )  # fmt: skip
        axes.set(xlabel=across, ylabel=up)
        axes.set_xlim(0, 1.12 * max((x for x, _ in entries.values()), default=1.0))
        # Room above the points for the note.
        axes.set_ylim(0, 1.3 * max((y for _, y in entries.values()), default=1.0))
        axes.set_title(panel, fontsize=9)
        axes.annotate(
            notes.get(panel, ""), (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=7.5,
            color=GREY, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
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
    shown = Emphasis({name: _last(y) for name, (_, y) in lines.items()}, looks)
    figure = new_figure(6.6, legend_height(3.6, shown.lines))
    panels = figure.subplots(1, 1, squeeze=False)
    axes = panels[0, 0]
    for name in shown.order():
        (x, y), look = lines[name], shown.looks[name]
        axes.plot(
            x, y, color=look.colour, linestyle=look.line, marker=look.marker, markersize=4,
            label=shown.label(name),
        )  # fmt: skip
        if name in chosen:
            axes.plot(*chosen[name], marker="o", markersize=11, markerfacecolor="none",
                      markeredgecolor=look.colour, linestyle="none")  # fmt: skip
    axes.set(xlabel=across, ylabel=label)
    axes.set_ylim(bottom=0)
    _legend_once(figure, panels)
    return figure


def _last(results: np.ndarray) -> float:
    """The last result that there is: by it a legend is in the order of the lines' right ends."""
    known = results[np.isfinite(results)]
    return float(known[-1]) if len(known) else float("nan")


def _lines(
    values, across: str, label: str, looks: Looks | None, *, logarithmic: bool = True
) -> Figure:
    shown = _emphasis(
        {
            panel: {name: max(mean for mean, _ in one.values()) for name, one in entries.items()}
            for panel, entries in values.items()
        },
        looks,
    )
    columns = min(2, max(1, len(values)))
    rows = -(-max(1, len(values)) // columns)
    figure = new_figure(4.2 * columns + 2.4, legend_height(3.3 * rows, shown.lines))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (cohort, entries) in zip(panels.ravel(), values.items()):
        ticks = sorted({x for points in entries.values() for x in points})
        for name in (name for name in shown.order() if name in entries):
            points, look = entries[name], shown.looks[name]
            x = sorted(points)
            means = [points[one][0] for one in x]
            spread = [np.nan_to_num(points[one][1]) for one in x]
            axes.errorbar(
                x, means, yerr=spread, color=look.colour, linestyle=look.line,
                marker=look.marker, capsize=2, label=shown.label(name),
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


def _emphasis(panels: Mapping[str, Mapping[str, float]], looks: Looks | None) -> Emphasis:
    """What stands out of all that panels show: the best by the mean over them."""
    found: dict[str, list[float]] = {}
    for entries in panels.values():
        for name, value in entries.items():
            found.setdefault(name, []).append(value)
    return Emphasis({name: float(np.mean(values)) for name, values in found.items()}, looks)


def _legend_once(figure: Figure, panels) -> None:
    """One legend for all panels, outside on the right."""
    found: dict[str, Artist] = {}
    for axes in panels.ravel():
        for handle, name in zip(*axes.get_legend_handles_labels()):
            found.setdefault(name, handle)
    if found:
        # Best first; others were drawn before them.
        names = list(found)[::-1]
        figure.legend(
            [found[name] for name in names], names, loc="outside right upper", alignment="left"
        )
