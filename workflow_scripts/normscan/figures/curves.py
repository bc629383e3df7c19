"""Precision-recall and ROC curves of all approaches on one cohort."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.looks import Looks, with_plain
from normscan.figures.style import GREY, legend_height, new_figure, styled

# So many lines are told apart without markers.
FEW = 8
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
    figure = new_figure(7.0, legend_height(4.2, len(curves)))
    axes = figure.add_subplot()
    if prevalence is not None:
        axes.axhline(prevalence, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
        label = f"chance: {prevalence:.2g}"
        axes.annotate(
            label, (0, prevalence), (4, 3), textcoords="offset points", color=GREY, fontsize=7.5,
        )  # fmt: skip
    _draw(axes, curves, "steps-post", looks)
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
    figure = new_figure(9.6, legend_height(4.0, len(curves)))
    whole, left = figure.subplots(1, 2, sharey=True)
    whole.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    _draw(whole, curves, "default", looks)
    whole.set(xlabel="false-positive rate", ylabel="true-positive rate (sensitivity)")
    whole.set(xlim=(0, 1), ylim=(0, 1.02))
    rates = np.logspace(-4, 0, 200)
    left.plot(rates, rates, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    _draw(left, curves, "default", looks)
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
    figure = new_figure(7.0, legend_height(4.2, len(curves)))
    axes = figure.add_subplot()
    # The legend's order: what finds most of the lesions over the whole range.
    worth = {name: (*_envelope(x, y), float(np.mean(y))) for name, (x, y) in curves.items()}
    _draw(axes, worth, "steps-post", looks)
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


def _draw(axes, curves: Mapping[str, Curve], drawstyle: str, looks: Looks | None) -> None:
    look = with_plain(curves, looks)
    ordered = sorted(curves.items(), key=lambda item: _worth(item[1][2]))
    for place, (name, (x, y, _)) in enumerate(ordered):
        # Many lines are told apart by markers, each at places of its own.
        marks = {"marker": look[name].marker, "markersize": 4, "markevery": (place / 40 % 0.2, 0.2)}
        axes.plot(
            np.asarray(x, float), np.asarray(y, float), drawstyle=drawstyle, label=name,
            color=look[name].colour, linestyle=look[name].line,
            **(marks if len(ordered) > FEW else {}),
        )  # fmt: skip


def _worth(area: float) -> float:
    return area if np.isfinite(area) else -1.0


def _legend(figure: Figure, axes, measure: str) -> None:
    """Outside on the right, best approach first."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles[::-1], names[::-1], loc="outside right upper", title=measure,
                      alignment="left", handlelength=2.6)  # fmt: skip
