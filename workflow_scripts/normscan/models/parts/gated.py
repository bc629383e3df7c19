"""A gated PixelCNN: features of a place see what comes before it, row by row, and nothing else.

Source: Oord et al. 2016, "Conditional image generation with PixelCNN decoders", section 2.2: a
vertical stack sees the rows above, a horizontal one what is to the left in the same row and the
vertical stack's features, so that no place before is left out. The inputs of both stacks are
shifted by one place once, as in Salimans et al. 2017 (PixelCNN++), instead of masking kernels:
what a convolution must not see is not there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class GatedLayer(nn.Module):
    """One step of both stacks; kernels of 2x3 and 1x2 places.

    Parameters
    ----------
    width : features of either stack.
    dropout : rate, of the horizontal stack's new features.
    """

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.vertical = nn.Conv2d(width, 2 * width, (2, 3))
        self.horizontal = nn.Conv2d(width, 2 * width, (1, 2))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.merge = nn.Conv2d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, above: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
        """The next features of the vertical and of the horizontal stack, each (n, width, h, w)."""
        down = self.vertical(functional.pad(above, (1, 1, 1, 0)))
        along = self.horizontal(functional.pad(left, (1, 0))) + self.link(down)
        return gate(down), left + self.merge(self.dropout(gate(along)))


def gate(features: Tensor) -> Tensor:
    """tanh of one half of the channels times the sigmoid of the other (Eq. 2)."""
    signal, opening = features.chunk(2, dim=1)
    return signal.tanh() * opening.sigmoid()


class PixelCNN(nn.Module):
    """Maps of codes (n, rows, columns) -> logits (n, codes, rows, columns).

    Parameters
    ----------
    grid : number of codes, rows, columns.
    width : features of either stack.
    depth : gated layers; a place sees ``depth`` rows above and ``depth`` places to either side.
    """

    def __init__(self, grid: tuple[int, int, int], width: int, depth: int, dropout: float):
        super().__init__()
        codes, rows, columns = grid
        self.embedding = nn.Embedding(codes, width)
        # Brains lie in the same place in all slices: which codes are likely depends on where.
        self.places = nn.Parameter(torch.zeros(1, width, rows, columns))
        self.layers = nn.ModuleList(GatedLayer(width, dropout) for _ in range(depth))
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, codes, 1)
        )

    def forward(self, codes: Tensor) -> Tensor:
        features = self.embedding(codes).permute(0, 3, 1, 2)
        above = functional.pad(features, (0, 0, 1, 0))[:, :, :-1] + self.places
        left = functional.pad(features, (1, 0))[..., :-1] + self.places
        for layer in self.layers:
            above, left = layer(above, left)
        return self.head(left)
