"""A codebook: vectors that stand for all others, moved to the means of what they stand for.

Source: Oord et al. 2017, "Neural discrete representation learning", Eqs. 1 and 2 (the nearest
entry, gradients passed straight through) and appendix A.1 (entries as exponential moving
averages).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Not given in the paper, chosen as follows. An entry is dead when fewer vectors fall to it than a
# twentieth of what would be its equal share; one that is revived counts as if it had that share,
# which takes about 300 batches (decay 0.99) to wear off, so that none is replaced again at once.
DEAD = 0.05


class Codebook(nn.Module):
    """Entries (codes, length), without gradients.

    Each entry is ``sums / counts``, moving averages of the sum and of the number of the vectors for
    which it was the nearest in a batch. All three are buffers: they are part of checkpoints, of the
    best weights and of bundles. They are 0 until :meth:`fill` is called.

    Parameters
    ----------
    codes : number of entries.
    length : of each.
    decay : of the moving averages, per batch.
    """

    entries: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, length: int, decay: float = 0.99):
        super().__init__()
        self.decay = decay
        self.register_buffer("entries", torch.zeros(codes, length))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, length))

    def __len__(self) -> int:
        return len(self.entries)

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """Number of the nearest entry (n, h, w) for vectors (n, length, h, w); ties: the first."""
        # Differences of almost equal squares: half precision would do no more than guess.
        with torch.autocast(vectors.device.type, enabled=False):
            return (
                torch.cdist(_rows(vectors.float()), self.entries)
                .argmin(dim=1)
                .view(len(vectors), *vectors.shape[2:])
            )

    def look_up(self, codes: Tensor) -> Tensor:
        """Entries (n, length, h, w) of codes (n, h, w)."""
        return self.entries[codes].permute(0, 3, 1, 2)

    @torch.no_grad()
    def follow(self, vectors: Tensor, codes: Tensor) -> None:
        """One batch's step of the moving averages; then dead entries are revived.

        Parameters
        ----------
        vectors : (n, length, h, w), outputs of the encoder.
        codes : (n, h, w), their nearest entries.
        """
        rows = _rows(vectors.float())
        with torch.autocast(vectors.device.type, enabled=False):
            # A matrix product rather than sums by index, which have other bits every time on GPUs.
            chosen = functional.one_hot(codes.flatten(), len(self)).to(rows.dtype)
            self.counts.lerp_(chosen.sum(dim=0), 1 - self.decay)
            self.sums.lerp_(chosen.T @ rows, 1 - self.decay)
        self._draw(rows, self.counts < DEAD * len(rows) / len(self))
        self.entries.copy_(self.sums / self.counts[:, None])

    @torch.no_grad()
    def fill(self, vectors: Tensor) -> None:
        """Put all entries on some of the vectors (n, length, h, w)."""
        self._draw(_rows(vectors.float()), torch.ones_like(self.counts, dtype=torch.bool))
        self.entries.copy_(self.sums / self.counts[:, None])

    def _draw(self, rows: Tensor, which: Tensor) -> None:
        """Put certain entries (codes,) on rows drawn by torch's global generator.

        As many numbers are drawn however many entries it is: what else is random in a training does
        not depend on it.
        """
        share = len(rows) / len(self)
        drawn = rows[torch.randint(len(rows), (len(self),), device=rows.device)]
        self.counts.masked_fill_(which, share)
        self.sums.copy_(torch.where(which[:, None], share * drawn, self.sums))


def straight_through(vectors: Tensor, entries: Tensor) -> Tensor:
    """``entries``, whose gradient goes to ``vectors`` as it is (Oord et al. 2017, section 3.2)."""
    return vectors + (entries - vectors).detach()


def _rows(vectors: Tensor) -> Tensor:
    """(n, length, h, w) -> (n h w, length)."""
    return vectors.permute(0, 2, 3, 1).flatten(0, 2)
