"""Overlap of soft masks with true ones."""

from __future__ import annotations

from torch import Tensor


def dice_losses(probability: Tensor, truth: Tensor) -> Tensor:
    """One minus the soft Dice overlap of each row: (n, places) -> (n,), in 0..1.

    Source: Milletari et al. 2016, "V-Net", without their squares. One is added to both sides of the
    fraction: of an empty truth, an empty mask is right.
    """
    both = (probability * truth).sum(dim=1)
    return 1 - (2 * both + 1) / (probability.sum(dim=1) + truth.sum(dim=1) + 1)


def batch_dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """:func:`dice_losses` of a whole batch as one row.

    Most slices have no lesion, and say little one by one.
    """
    return dice_losses(probability.flatten()[None], truth.flatten()[None])[0]


def soft_label_dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """:func:`batch_dice_loss` for labels between 0 and 1: least where the probability is the label.

    Source: Wang et al. 2023, "Dice semimetric losses" (the usual soft Dice is least at 0 or 1
    whatever the label). For labels 0 and 1 both are equal.
    """
    return soft_label_dice_losses(probability.flatten()[None], truth.flatten()[None])[0]


def soft_label_dice_losses(probability: Tensor, truth: Tensor) -> Tensor:
    """:func:`dice_losses` for labels between 0 and 1: (n, places) -> (n,)."""
    both = (probability + truth).sum(dim=1)
    apart = (probability - truth).abs().sum(dim=1)
    return apart / (both + 1)
