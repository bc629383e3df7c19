"""Anatomical fidelity of reconstructions, per approach (after Kobayashi et al. 2021, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from normscan.figures.dark import GROUND, INK
from normscan.figures.dice import distribution
from normscan.figures.looks import Looks, with_plain
from normscan.figures.orientation import NEUROLOGICAL
from normscan.figures.slices import COLUMNS, Painter, slice_rows
from normscan.figures.style import new_figure, styled


def shared_rows(values: Mapping[str, Sequence[np.ndarray]]) -> tuple[dict[str, str], str]:
    """Approaches that need a row each: those that share a model have the same reconstructions.

    Parameters
    ----------
    values : approach -> arrays that say what its row would show.

    Returns
    -------
    names : first approach with these values -> what its row is called.
    said : which approaches one row stands for, as a sentence; empty where all differ.
    """
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name, arrays in values.items():
        groups.setdefault(tuple(np.asarray(one).tobytes() for one in arrays), []).append(name)
    several = [group for group in groups.values() if len(group) > 1]
    names = {
        group[0]: group[0] if len(group) == 1 else f"{group[0]} (and {len(group) - 1} more)"
        for group in groups.values()
    }
    if not several:
        return names, ""
    said = "; ".join(", ".join(group) for group in several)
    return names, f" Approaches with the same reconstructions are one row: {said}."


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


@styled
def fidelity_rows(
    images: Mapping[str, np.ndarray],
    entropy: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    classes: Sequence[str],
    *,
    title: str = "",
    orientation: str = NEUROLOGICAL,
) -> Figure:
    """A row for the input and one for each reconstruction: image, entropy, classes (Fig. 4a, 4b).

    Parameters
    ----------
    images : what a row is called -> (h, w), the input first; all on its scale of greys.
    entropy : of each image (h, w), nats.
    labels : of each image (h, w), 0 background, 1 and on the classes.
    """
    given = next(iter(images.values()))
    rows: list[dict[str, Any]] = [
        # (The range of greys, and the box that is shown, are those of ``image``.)
        {"label": name, "image": given, "shown": image, "entropy": pixels, "classes": found}
        for (name, image), pixels, found in zip(images.items(), entropy, labels)
    ]
    figure = slice_rows(rows, title=title, columns=_columns(len(classes)), orientation=orientation)
    colours = _colours(len(classes))
    parts = [Patch(color=colours(k), label=name) for k, name in enumerate(classes, start=1)]
    figure.legend(handles=parts, loc="outside lower center", ncols=min(len(parts), 5),
                  labelcolor=INK, fontsize=7.5, facecolor=GROUND)  # fmt: skip
    return figure


def _colours(classes: int) -> ListedColormap:
    """Background in black, then a colour for each class."""
    known = matplotlib.colormaps["tab20"]
    return ListedColormap(["black", *(known(k % known.N) for k in range(classes))])


def _columns(classes: int) -> dict[str, tuple[str, Painter]]:
    def paint_image(axes, row, limit, signed):
        return COLUMNS["reconstruction"][1](axes, {**row, "reconstruction": row["shown"]}, 0, False)

    def paint_entropy(axes, row, limit, signed):
        values = np.asarray(row["entropy"], float).T
        return axes.imshow(values, cmap="inferno", origin="lower", vmin=0, vmax=limit)

    def paint_classes(axes, row, limit, signed):
        values, colours = np.asarray(row["classes"]).T, _colours(classes)
        return axes.imshow(values, cmap=colours, origin="lower", vmin=-0.5, vmax=classes + 0.5)

    return {
        "shown": ("image", paint_image),
        "entropy": ("entropy", paint_entropy),
        "classes": ("classes", paint_classes),
    }
