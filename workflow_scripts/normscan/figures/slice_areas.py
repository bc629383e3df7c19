"""AUROC of single slices against the size of the lesion in them (Kim et al. 2021, Fig. 7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas
from matplotlib.figure import Figure

from normscan.figures.collection import Figures
from normscan.figures.looks import Looks, with_plain
from normscan.figures.style import BLACK, GREY, new_figure, styled

# As in the paper.
MOST = 500
COLUMNS = 4
# Medians are of at least so many slices.
FEWEST = 5


def add_slice_areas(
    figures: Figures, cohort: str, tables: Mapping[str, pandas.DataFrame], split: str
) -> None:
    """A panel per approach; nothing where no slice has a lesion.

    Parameters
    ----------
    tables : title -> columns of ``evaluation.slice_areas`` with ``split``.
    """
    chosen = {title: table[table["split"] == split] for title, table in tables.items()}
    points = {
        title: (own["lesion_mm2"].to_numpy(float), own["auroc"].to_numpy(float))
        for title, own in chosen.items()
        if len(own)
    }
    if not points:
        return
    figures.add(
        size_scatter(points, looks=figures.looks),
        "slice_auroc",
        "Curves",
        f"{cohort}: AUROC of slices by lesion size",
        "A point is a slice of a test patient that has a lesion; first seed. Of more than "
        f"{MOST} slices as many are drawn, the same at random for every approach. Line: median of "
        "all slices between doublings of the size.",
    )


@styled
def size_scatter(
    points: Mapping[str, tuple[np.ndarray, np.ndarray]], *, looks: Looks | None = None
) -> Figure:
    """Small multiples with common axes, sizes on a logarithmic one.

    Parameters
    ----------
    points : approach -> lesion's area in mm² (n,), AUROC (n,) in [0, 1].
    looks : of ``figures.looks``; approaches without one are plain.
    """
    look = with_plain(list(points), looks)
    columns = min(COLUMNS, len(points)) or 1
    rows = -(-len(points) // columns) or 1
    figure = new_figure(0.6 + 2.3 * columns, 0.5 + 1.9 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(points) :]:
        axes.set_visible(False)
    for axes, (title, (size, area)) in zip(panels, points.items()):
        shown = drawn_slices(len(size))
        axes.scatter(
            size[shown], area[shown], s=7, color=look[title].colour, alpha=0.6, linewidth=0
        )
        axes.plot(*medians(size, area), color=BLACK, linewidth=1.2)
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_title(title, fontsize=8)
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
    for axes in panels[max(0, len(points) - columns) : len(points)]:
        # Shared axes are numbered in the last row only, which may be cut short.
        axes.tick_params(labelbottom=True)
    figure.supxlabel("lesion in the slice (mm²)", fontsize=9)
    figure.supylabel("AUROC of the slice", fontsize=9)
    return figure


def drawn_slices(count: int) -> np.ndarray:
    """Which of so many slices are drawn: all, or :data:`MOST` at random, always the same ones."""
    if count <= MOST:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST, replace=False))


def medians(size: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median size and median AUROC between doublings of the size that hold enough slices."""
    octave = pandas.Series(np.floor(np.log2(size)))
    table = pandas.DataFrame({"size": size, "area": area}).groupby(octave)
    middle = table.median()[table.size() >= FEWEST]
    return middle["size"].to_numpy(float), middle["area"].to_numpy(float)
