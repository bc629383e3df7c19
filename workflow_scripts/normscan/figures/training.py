"""Training and validation loss per epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.figure import Figure

from normscan.figures.looks import with_plain
from normscan.figures.style import BLUE, GREY, ORANGE, new_figure, styled
from normscan.training.curve import ABOUT, best_epochs


def training_history(
    table: pandas.DataFrame, history: Sequence[Mapping[str, Any]], *, title: str = ""
) -> Figure:
    """The curve of a whole training; epochs of several phases are counted through.

    Parameters
    ----------
    table : of ``training.curve.history_table``.
    history : the rows that it was made of.
    """
    epochs = np.arange(1, len(table) + 1)
    terms = [n for n in table.columns if n not in ABOUT]
    # A Gaussian likelihood's validation loss is no L1 error.
    error = next((n for n in ("negative_log", "reconstruction") if n in terms), terms[0])
    named = {"label": "-log p(x|z) per pixel"} if error == "negative_log" else {}
    others = {name: table[name].to_numpy(float) for name in terms if name not in (error, "loss")}
    last = history[-1]["phase"]
    best = table.index[(table["phase"] == last) & (table["epoch"] == best_epochs(history)[last])]
    return training_curve(
        epochs,
        table[error].to_numpy(float),
        table["validation"].to_numpy(float),
        best_epoch=int(epochs[best[0]]),
        terms=others,
        title=title,
        **named,
    )


@styled
def training_curve(
    epochs: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    *,
    best_epoch: int | None = None,
    terms: Mapping[str, np.ndarray] | None = None,
    title: str = "",
    label: str = "reconstruction error (L1)",
) -> Figure:
    """Loss over epochs, the epoch whose weights are kept marked.

    Parameters
    ----------
    epochs, train, validation : (n,); NaN where there is no value.
    best_epoch : the kept epoch, as counted in ``epochs``.
    terms : further losses by name (n,), drawn in a panel of their own (discriminator, KL, ...).
    """
    terms = dict(terms or {})
    figure = new_figure(9.2 if terms else 6.2, 3.2)
    panels = figure.subplots(1, 2 if terms else 1, squeeze=False)[0]
    axes = panels[0]
    epochs = np.asarray(epochs)
    point = "o" if len(epochs) < 3 else None
    for values, colour, name, line in (
        (train, ORANGE, "training", "-"),
        (validation, BLUE, "validation", "-"),
    ):
        values = np.asarray(values, float)
        known = np.isfinite(values)
        if known.any():
            axes.plot(epochs[known], values[known], line, color=colour, label=name, marker=point)
    _mark_best(axes, epochs, np.asarray(validation, float), best_epoch)
    axes.set(xlabel="epoch", ylabel=label)
    axes.set_title(title)
    axes.legend(loc="upper right")
    if terms:
        _draw_terms(panels[1], epochs, terms)
    return figure


def _mark_best(axes, epochs: np.ndarray, validation: np.ndarray, best_epoch: int | None) -> None:
    if best_epoch is None or best_epoch not in epochs:
        return
    axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle=(0, (3, 2)))
    value = validation[np.flatnonzero(epochs == best_epoch)[0]]
    if np.isfinite(value):
        axes.plot([best_epoch], [value], "o", color=BLUE, markersize=6, markeredgecolor="white")
        name = f"best: epoch {best_epoch}, {value:.4g}"
        axes.plot([], [], "o", color=BLUE, label=name, markeredgecolor="white")


def _draw_terms(axes, epochs: np.ndarray, terms: Mapping[str, np.ndarray]) -> None:
    look = with_plain(terms)
    for name, values in terms.items():
        axes.plot(epochs, np.asarray(values, float), color=look[name].colour, label=name)
    axes.set(xlabel="epoch", ylabel="loss term")
    axes.legend(loc="upper right")
