"""The training curve: one row per epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas

# What a row of the history says beside the losses.
ABOUT = ["phase", "epoch", "best", "validation"]


def history_table(history: list[dict[str, Any]]) -> pandas.DataFrame:
    """Rows of a training as a table: phase, epoch, best, validation, then the training losses.

    Losses that a phase has not are missing values. No times: equal trainings give equal tables.
    """
    table = pandas.DataFrame(history)
    first = [name for name in ABOUT if name in table.columns]
    # Sorted: a history that went through a checkpoint has its keys in another order.
    return table[[*first, *sorted(name for name in table.columns if name not in first)]]


def best_epochs(history: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Epoch whose weights each phase was left with."""
    kept: dict[str, int] = {}
    for row in history:
        if row["best"] or row["validation"] is None:
            kept[row["phase"]] = row["epoch"]
    return kept
