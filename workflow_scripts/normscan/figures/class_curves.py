"""ROC curves of abnormality classes, a panel each (Kobayashi et al. 2021, Fig. 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.looks import Emphasis, Looks
from normscan.figures.style import GREY, legend_height, new_figure, styled

# False-positive rate, mean true-positive rate, its spread over patients, mean area.
ClassCurve = tuple[np.ndarray, np.ndarray, np.ndarray, float]


@styled
def class_roc(
    curves: Mapping[str, Mapping[str, ClassCurve]],
    patients: Mapping[str, int],
    *,
    title: str = "",
    looks: Looks | None = None,
) -> Figure:
    """Mean ROC curve over patients per class and approach; bands of one standard deviation.

    Parameters
    ----------
    curves : class -> approach -> curve. Bands are drawn where there are at most three approaches:
        of more they hide each other.
    patients : class -> how many patients have it.
    looks : of ``figures.looks``; approaches without one are plain.
    """
    areas: dict[str, list[float]] = {}
    for found in curves.values():
        for name, (*_, area) in found.items():
            areas.setdefault(name, []).append(area)
    shown = Emphasis({name: float(np.mean(one)) for name, one in areas.items()}, looks)
    columns = min(2, max(1, len(curves)))
    rows = -(-max(1, len(curves)) // columns)
    figure = new_figure(3.7 * columns + 2.4, legend_height(3.5 * rows, shown.lines))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    for axes, (kind, found) in zip(panels, curves.items()):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (1, 2)))
        for name in (name for name in shown.order() if name in found):
            fpr, recall, spread, area = found[name]
            colour = shown.looks[name].colour
            axes.plot(
                fpr, recall, color=colour, linestyle=shown.looks[name].line,
                label=shown.label(name, f"{name} ({area:.2f})"),
            )  # fmt: skip
            if len(found) <= 3:
                low, high = np.clip(recall - spread, 0, 1), np.clip(recall + spread, 0, 1)
                axes.fill_between(fpr, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_title(f"{kind} (n = {patients[kind]})", fontsize=9)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="false-positive rate")
        axes.set_ylabel("true-positive rate")
        axes.tick_params(labelbottom=True, labelleft=True)
        lines = dict(zip(*reversed(axes.get_legend_handles_labels())))
        axes.legend(
            list(lines.values())[::-1], list(lines)[::-1], loc="lower right", fontsize=6.5,
            title="mean AUROC", title_fontsize=6.5,
        )  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure
