"""VQ-VAE: an autoencoder whose code is a map of numbers of codebook entries.

Source: Oord et al. 2017, "Neural discrete representation learning", for anomalies Marimont and
Tarroni 2021 and, as a baseline, Chatterjee et al. 2022 (section 2.5, Eqs. 10 and 11). The
posterior is the nearest entry (Eq. 10); gradients pass it straight through. Entries are moving
averages (Oord et al., appendix A.1) instead of following the second term of Eq. 11: both have the
same optimum, but the averages do not depend on the learning rate of the network, and early
stopping keeps them with the weights. The third term, the commitment, has the weight 0.25 (Oord et
al., section 3.2: results do not depend on it between 0.1 and 2.0). The likelihood is L1, as in
Marimont and Tarroni and in all models here: absolute errors are summed over a slice's pixels,
squared distances over its code's numbers.

128 entries as in the code published with Marimont and Tarroni. Not given in the papers, chosen: 64
numbers per entry, and what revives dead entries (:mod:`normscan.models.parts.codebook`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.base import Batches, Updates
from normscan.models.parts.codebook import Codebook, straight_through
from normscan.models.parts.coding import CodingModel, absolute_errors
from normscan.slices.batch import Batch, SliceShape

TITLE = "vector-quantised variational autoencoder"
CITE = ["oord2017", "marimont2021"]
LOOK = "quantised"
COST = 3.0
CAPABILITIES = {"reconstruct", "embed", "quantise"}
PARTS = {"encoder", "decoder"}
NEEDS_SPATIAL = True
SETTINGS = {
    "network": "marimont2021",
    "bottleneck": "spatial",
    "codes": 128,
    "latent": 64,
    "commitment": 0.25,
    "decay": 0.99,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "codes": "2..",
    "latent": "1..",
    "commitment": "0..",
    "decay": "0..<1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "codes": "entries of the codebook",
    "latent": "numbers of an entry",
    "commitment": "weight of the distance between the encoder's outputs and their entries",
    "decay": "of the entries' moving averages",
}
# Maps of 4x4 codes.
CHECKED_WITH = {"codes": 8, "decay": 0.9, "max_epochs": 16}
CHECKED_AT = 32


class Model(CodingModel):
    """Encoder, codebook, decoder."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        codes: int = 128,
        latent: int = 64,
        commitment: float = 0.25,
        decay: float = 0.99,
        **settings: Any,
    ):
        super().__init__(shape, latent=latent, **settings)
        self.commitment = commitment
        self.codebook = Codebook(codes, latent, decay)
        self.side = self._side()

    @torch.no_grad()
    def start_phase(self, phase: str, batches: Batches) -> None:
        """Fill the codebook with vectors of the first batch."""
        self.train()
        self.codebook.fill(self.encoder(next(batches()).slices)[0])

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        vectors = self.encoder(batch.slices)[0]
        return self._losses(batch, vectors, self.codebook.nearest(vectors))

    def _losses(self, batch: Batch[Tensor], vectors: Tensor, codes: Tensor) -> dict[str, Tensor]:
        entries = self.codebook.look_up(codes)
        expected = self.decoder(straight_through(vectors, entries))
        error = absolute_errors(batch.targets, expected).mean()
        distance = (vectors - entries).square().flatten(1).sum(dim=1).mean()
        return {
            "loss": error + self.commitment * distance,
            "reconstruction": error / batch.targets[0].numel(),
            "distance": distance,
        }

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        vectors = self.encoder(batch.slices)[0]
        codes = self.codebook.nearest(vectors)
        losses = self._losses(batch, vectors, codes)
        update("main", losses["loss"])
        self.codebook.follow(vectors.detach(), codes)
        return losses

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Decode the nearest entries."""
        return self.decode_codes(self.code_maps(slices))

    def code_grid(self) -> tuple[int, int, int]:
        """Number of entries, rows and columns of the map."""
        return len(self.codebook), self.side, self.side

    def code_maps(self, slices: Tensor) -> Tensor:
        """Numbers of the nearest entries (n, rows, columns), int64."""
        return self.codebook.nearest(self.encoder(slices)[0])

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Slices (n, targets, size, size) of maps of numbers."""
        return self.decoder(self.codebook.look_up(codes))

    @torch.no_grad()
    def _side(self) -> int:
        """Side of the map, which is the network's matter: what comes out for an empty slice."""
        training, empty = self.training, torch.zeros(1, self.shape.inputs, *[self.shape.size] * 2)
        side = self.eval().encoder(empty)[0].shape[-1]
        self.train(training)
        return side
