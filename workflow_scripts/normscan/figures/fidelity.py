"""Anatomical fidelity of reconstructions, per approach (after Kobayashi et al. 2021, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from normscan.figures.dice import distribution
from normscan.figures.looks import Looks, with_plain
from normscan.figures.style import new_figure, styled


@styled
def fidelity_distributions(
    quality: Mapping[str, np.ndarray],
    overlap: Mapping[str, np.ndarray],
    *,
    looks: Looks | None = None,
) -> Figure:
    """A panel for each score; per approach a box, a point per patient, and the mean.

    Parameters
    ----------
    quality : approach -> quality score of every patient (nats per slice; higher is better).
    overlap : approach -> overlap score of every patient, in [0, 1].
    looks : of ``figures.looks``; approaches without one are plain.
    """
    names = list(dict.fromkeys([*quality, *overlap]))
    look = with_plain(names, looks)
    figure = new_figure(2.0 + 2 * 2.9, 0.95 + 0.3 * max(1, len(names)))
    panels = figure.subplots(1, 2, sharey=True)
    scores = {"quality score (nats per slice)": quality, "overlap score (mean Dice)": overlap}
    for axes, (label, values) in zip(panels, scores.items()):
        for place, name in enumerate(names):
            found = np.asarray(values.get(name, ()), float)
            distribution(axes, place, found[np.isfinite(found)], look[name])
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=label)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", visible=False)
    panels[0].axvline(0, color="#222222", linewidth=0.8, linestyle=":", zorder=0)
    panels[1].set_xlim(-0.02, 1.02)
    return figure
