"""Histograms of residuals on normal and on anomalous voxels (as Fig. 11 of Baur et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from normscan.figures.style import ANOMALOUS, NORMAL, new_figure, styled

_BARS = 80


@styled
def residual_histograms(
    histograms: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    *,
    chi_square: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """A panel per approach, shares of voxels on a logarithmic axis.

    Parameters
    ----------
    histograms : approach -> (bin edges (n + 1,), counts on normal voxels (n,), counts on
        anomalous voxels (n,)). Each is normalised to its own sum; fine bins are joined.
    chi_square : approach -> distance of the two histograms, written into the panel.
    """
    names = list(histograms)
    columns = min(3, len(names)) or 1
    rows = -(-len(names) // columns) or 1
    figure = new_figure(3.0 * columns + 0.4, 2.1 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for place, (axes, name) in enumerate(zip(panels, names)):
        edges, normal, anomalous = _coarse(*histograms[name])
        for counts, colour, label in (
            (normal, NORMAL, "normal voxels"),
            (anomalous, ANOMALOUS, "anomalous voxels"),
        ):
            share = counts / counts.sum() if counts.sum() else np.zeros_like(counts)
            axes.stairs(np.where(share > 0, share, np.nan), edges, color=colour, label=label,
                        linewidth=1.2)  # fmt: skip
            axes.stairs(share, edges, color=colour, alpha=0.25, fill=True, baseline=1e-12)
        axes.set_yscale("log")
        axes.set_title(name, fontsize=9)
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        if chi_square and np.isfinite(chi_square.get(name, np.nan)):
            axes.text(0.97, 0.94, f"χ² = {chi_square[name]:.3f}", transform=axes.transAxes,
                      ha="right", va="top", fontsize=8)  # fmt: skip
        axes.set_xlim(edges[0], _right(edges, normal, anomalous))
        axes.set_xlabel("residual" if place >= len(names) - columns else "")
        axes.set_ylabel("share of voxels" if place % columns == 0 else "")
    _common_floor(panels[: len(names)], histograms)
    if names:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    if title:
        figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return figure


def _coarse(edges, normal, anomalous) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges = np.asarray(edges, float)
    step = max(1, -(-(len(edges) - 1) // _BARS))
    starts = np.arange(0, len(edges) - 1, step)
    first, second = (np.add.reduceat(np.asarray(one, float), starts) for one in (normal, anomalous))
    return np.append(edges[starts], edges[-1]), first, second


def _right(edges: np.ndarray, *counts: np.ndarray) -> float:
    """Upper end of what is occupied."""
    used = np.flatnonzero(sum(counts))
    return float(edges[min(used[-1] + 2, len(edges) - 1)]) if used.size else float(edges[-1])


def _common_floor(panels, histograms) -> None:
    """The y axis starts just below the smallest share that is there."""
    smallest = [
        counts[counts > 0].min() / counts.sum()
        for entry in histograms.values()
        for counts in _coarse(*entry)[1:]
        if counts.sum() > 0
    ]
    for axes in panels:
        axes.set_ylim(max(min(smallest, default=1e-6) * 0.5, 1e-9), 1.5)
