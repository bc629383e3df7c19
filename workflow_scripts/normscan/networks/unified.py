"""The unified network: one architecture for all models of the comparative study.

Source: Baur et al. 2021, section III-B and Fig. 4. The slope of the leaky ReLU and the position of
dropout are not given in the paper; chosen as in the published code: slope 0.2 and dropout on the
dense bottleneck.
"""

from __future__ import annotations

import torch
from torch import nn

from normscan.errors import ConfigError

FILTERS = (32, 64, 128, 128)
SMALLEST = 8
SLOPE = 0.2
NARROW = 16


def stage_filters(size: int) -> list[int]:
    """Filters of the encoder's stages: as many stages as lead from ``size`` down to 8x8.

    Raises
    ------
    ConfigError : the size is not 8 times a power of two.
    """
    stages = (size // SMALLEST).bit_length() - 1
    if size != SMALLEST * 2**stages or stages < 1:
        raise ConfigError(
            f"slices.size: found {size}; the unified network needs 8 times a power of two: "
            "16, 32, 64, 128, 256, 512"
        )
    return [FILTERS[min(stage, len(FILTERS) - 1)] for stage in range(stages)]


class Encoder(nn.Sequential):
    """(n, contrasts, size, size) -> (n, filters, 8, 8): conv 5x5 stride 2, batch norm, leaky ReLU."""

    def __init__(self, contrasts: int, size: int):
        layers: list[nn.Module] = []
        before = contrasts
        for filters in stage_filters(size):
            layers += [
                nn.Conv2d(before, filters, 5, stride=2, padding=2),
                nn.BatchNorm2d(filters),
                nn.LeakyReLU(SLOPE),
            ]
            before = filters
        super().__init__(*layers)
        self.filters = before


class Decoder(nn.Sequential):
    """(n, filters, 8, 8) -> (n, contrasts, size, size): transposed conv 5x5 stride 2, mirrored."""

    def __init__(self, contrasts: int, size: int):
        filters = stage_filters(size)
        layers: list[nn.Module] = [nn.BatchNorm2d(filters[-1]), nn.ReLU()]
        before = filters[-1]
        for after in reversed(filters):
            layers += [
                nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(SLOPE),
            ]
            before = after
        super().__init__(*layers, nn.Conv2d(before, contrasts, 1))


class DenseEncoding(nn.Module):
    """(n, filters, 8, 8) -> code (n, latent): 1x1 conv to 16 channels, flatten, dense, dropout."""

    def __init__(self, filters: int, latent: int, dropout: float, outputs: int = 1):
        super().__init__()
        self.narrow = nn.Conv2d(filters, NARROW, 1)
        width = NARROW * SMALLEST**2
        self.heads = nn.ModuleList(nn.Linear(width, latent) for _ in range(outputs))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One code per head."""
        flat = self.narrow(features).flatten(1)
        return tuple(self.dropout(head(flat)) for head in self.heads)


class DenseDecoding(nn.Module):
    """Code (n, latent) -> (n, filters, 8, 8): dense, dropout, 1x1 conv back."""

    def __init__(self, filters: int, latent: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(latent, NARROW * SMALLEST**2)
        self.dropout = nn.Dropout(dropout)
        self.widen = nn.Conv2d(NARROW, filters, 1)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        flat = self.dropout(self.dense(code))
        return self.widen(flat.unflatten(1, (NARROW, SMALLEST, SMALLEST)))
