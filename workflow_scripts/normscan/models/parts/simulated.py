"""Simulated slices of little entropy: each tissue one intensity that varies smoothly in space.

The idea is of Baur et al. 2020 (SteGANomaly), who take simulated brains; what theirs are made of is
not in the thesis. Here they are made of tissue maps, and the intensity of a tissue is its mean over
the training slices.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from normscan.errors import TrainingError
from normscan.slices.batch import Batch

# Background, cerebrospinal fluid, grey matter, white matter.
LABELS = 4
# Places a side where a field's noise is drawn.
COARSE = 4


def tissue_levels(batches: Iterable[Batch[Tensor]]) -> Tensor:
    """Mean intensity of each label in each contrast (channels, labels); 0 of the background.

    Parameters
    ----------
    batches : slices (n, channels, h, w) with their layer ``tissue`` (n, h, w), labels 0 to 3.

    Raises
    ------
    TrainingError : no slice has a tissue.
    """
    total: Tensor | float = 0.0
    for batch in batches:
        labels = torch.arange(LABELS, device=batch.slices.device)
        masks = (batch.layers["tissue"][..., None] == labels).double().flatten(0, 2)
        values = batch.slices.double().transpose(0, 1).flatten(1)
        total = total + torch.cat([values @ masks, masks.sum(dim=0)[None]])
    assert isinstance(total, Tensor)
    if (total[-1, 1:] == 0).any():
        missing = [label for label in range(1, LABELS) if not total[-1, label]]
        raise TrainingError(
            f"no training slice has tissue of label {', '.join(map(str, missing))} in the layer "
            "'tissue', so it has no intensity; look at the maps that 'segment_tissue' made"
        )
    levels = (total[:-1] / total[-1].clamp_min(1)).float()
    levels[:, 0] = 0
    return levels


def other_tissues(tissue: Tensor) -> Tensor:
    """Tissue maps (n, h, w) in an order in which no slice has its own.

    They are moved on in the batch by a random number of places, from torch's global generator; a
    slice that is alone gets its own one, mirrored.
    """
    if len(tissue) < 2:
        return tissue.flip(-1)
    return tissue.roll(int(torch.randint(1, len(tissue), ())), 0)


def simulate(tissue: Tensor, levels: Tensor, variation: float) -> Tensor:
    """Slices (n, channels, h, w) of tissue maps (n, h, w).

    Parameters
    ----------
    levels : intensities (channels, labels).
    variation : about the standard deviation of the smooth factor by which intensities differ, a
        field of each slice and contrast, from torch's global generator.
    """
    flat = levels[:, tissue.long()].transpose(0, 1)
    noise = torch.randn(*flat.shape[:2], COARSE, COARSE, device=flat.device)
    field = functional.interpolate(noise, flat.shape[2:], mode="bicubic", align_corners=True)
    return flat * (1 + variation * field)
