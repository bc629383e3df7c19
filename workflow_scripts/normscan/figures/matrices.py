"""Matrices of a study: correlations of measures, and differences between approaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.labels import metric_label
from normscan.figures.style import new_figure, styled

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


def _short(measure: str) -> str:
    return {"best_dice": "best Dice (oracle)"}.get(measure, metric_label(measure))
