"""Precision-recall and ROC curves of all approaches on one cohort."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.looks import Emphasis, Looks
from normscan.figures.style import GREY, legend_height, new_figure, styled

Curve = tuple[np.ndarray, np.ndarray, float]


@styled
def pr_curves(
    curves: Mapping[str, Curve],
    *,
    prevalence: float | None = None,
    title: str = "",
    looks: Looks | None = None,
) -> Figure:
    """Precision over recall.

    Parameters
    ----------
    curves : approach -> (recall, precision, area under the curve); values in [0, 1].
    prevalence : share of lesion voxels = precision of guessing, drawn as a line.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    shown = _shown(curves, looks)
    figure = new_figure(7.0, legend_height(4.2, shown.lines))
    axes = figure.add_subplot()
    if prevalence is not None:
        # Named in the legend: beside the line curves would cross it out.
        axes.axhline(prevalence, color=GREY, linewidth=1, linestyle=(0, (1, 2)),
                     label=f"chance: {prevalence:.2g}")  # fmt: skip
    _draw(axes, curves, "steps-post", shown)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(title)
    _legend(figure, axes, "AUPRC")
    return figure


@styled
def roc_curves(
    curves: Mapping[str, Curve], *, title: str = "", looks: Looks | None = None
) -> Figure:
    """True-positive over false-positive rate: the whole curve, and its clinically used left end.

    Parameters
    ----------
    curves : approach -> (false-positive rate, true-positive rate, area under the curve).
    looks : of ``figures.looks``; approaches without one are plain.
    """
    shown = _shown(curves, looks)
    figure = new_figure(9.6, legend_height(4.0, shown.lines))
    whole, left = figure.subplots(1, 2, sharey=True)
    whole.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    _draw(whole, curves, "default", shown)
    whole.set(xlabel="false-positive rate", ylabel="true-positive rate (sensitivity)")
    whole.set(xlim=(0, 1), ylim=(0, 1.02))
    rates = np.logspace(-4, 0, 200)
    left.plot(rates, rates, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    _draw(left, curves, "default", shown)
    left.set(xlabel="false-positive rate (logarithmic)", xscale="log", xlim=(1e-4, 1))
    whole.set_title(title)
    _legend(figure, left, "AUROC")
    return figure


@styled
def froc_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    title: str = "",
    looks: Looks | None = None,
) -> Figure:
    """Share of lesions found over false alarms per scan.

    Parameters
    ----------
    curves : approach -> (false positives per scan, share of lesions found in [0, 1]). Drawn is
        what can be found with at most so many false positives: as thresholds fall, false alarms
        also grow together, so that their number may fall again.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    # The legend's order: what finds most of the lesions over the whole range.
    worth = {name: (*_envelope(x, y), float(np.mean(y))) for name, (x, y) in curves.items()}
    shown = _shown(worth, looks)
    figure = new_figure(7.0, legend_height(4.2, shown.lines))
    axes = figure.add_subplot()
    _draw(axes, worth, "steps-post", shown)
    axes.set(xlabel="false-positive detections per scan", ylabel="lesions found", ylim=(0, 1.02))
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(left=0)
    axes.set_title(title)
    _legend(figure, axes, "mean share found")
    return figure


def _envelope(false: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest share found with at most so many false positives."""
    order = np.lexsort((found, false))
    return np.asarray(false)[order], np.maximum.accumulate(np.asarray(found)[order])


def _draw(axes, curves: Mapping[str, Curve], drawstyle: str, shown: Emphasis) -> None:
    for place, name in enumerate(shown.order()):
        x, y = (np.asarray(values, float) for values in curves[name][:2])
        look, quiet = shown.looks[name], name in shown.others
        axes.plot(
            x, y, drawstyle=drawstyle,
            label=shown.label(name), color=look.colour, linestyle=look.line,
            linewidth=0.9 if quiet else 1.6, zorder=1.9 if quiet else 2,
            # Each has its markers at places of its own.
            marker=look.marker if np.isfinite(x + y).any() else "",
            markersize=4.5, markevery=(place / 40 % 0.2, 0.2),
        )  # fmt: skip


def _shown(curves: Mapping[str, Curve], looks: Looks | None) -> Emphasis:
    """What stands out: the curves with the largest areas."""
    return Emphasis({name: area for name, (_, _, area) in curves.items()}, looks)


def _legend(figure: Figure, axes, measure: str) -> None:
    """Outside on the right, best approach first."""
    found = dict(zip(*reversed(axes.get_legend_handles_labels())))
    if found:
        names = list(found)[::-1]
        figure.legend([found[name] for name in names], names, loc="outside right upper",
                      title=measure, alignment="left", handlelength=2.6)  # fmt: skip
