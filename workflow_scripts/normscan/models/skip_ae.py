"""Skip-AE: an autoencoder with skip connections that carry dropout.

Source: Baur et al. 2020, "Bayesian skip-autoencoders for unsupervised hyperintense anomaly
detection in high resolution brain MRI", as summed up in the thesis (Baur 2021, section 3.4.3) and
by Chatterjee et al. 2022, section 2.3. With the dropout active when it is applied it is a Bayesian
model: many reconstructions give a mean residual and, for every pixel, an uncertainty.

The loss is written there as L1 - gdl (Chatterjee et al., Eq. 6), gdl being "the gradient difference
loss". That is a difference (Mathieu et al. 2016), which must become small: subtracted, it would
reward wrong edges without bound. So it is added here, with ``gdl_weight`` (not given; 1 as in the
equation); both terms are sums over pixels, as in the study's other models. Also not given is the
rate of the dropout (0.5, the usual one of feature maps; the study's 0.2 is for a code, which does
not hold the slice itself).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from normscan.models.base import BaseModel, adam, l1_error
from normscan.models.parts.coding import absolute_errors
from normscan.models.parts.gradients import gradient_differences
from normscan.networks import registry as networks
from normscan.networks.layers import drop_maps, full_precision
from normscan.networks.registry import check_rate
from normscan.slices.batch import Batch, SliceShape

TITLE = "skip autoencoder"
CITE = {
    "baurskip2020": "Baur C, Wiestler B, Albarqouni S, Navab N. Bayesian skip-autoencoders for "
    "unsupervised hyperintense anomaly detection in high resolution brain MRI. IEEE 17th "
    "International Symposium on Biomedical Imaging, 2020:1905–1909. "
    "https://doi.org/10.1109/ISBI45749.2020.9098686",
    "mathieu2016": "Mathieu M, Couprie C, LeCun Y. Deep multi-scale video prediction beyond mean "
    "square error. International Conference on Learning Representations, 2016. "
    "https://arxiv.org/abs/1511.05440",
}
LOOK = "autoencoder"
COST = 1.6
CAPABILITIES = {"reconstruct", "sample", "drop", "embed"}
PARTS = {"skip_encoder", "skip_decoder"}
SETTINGS = {
    "network": "unified_skip",
    "latent": 128,
    "skip_dropout": [0.5],
    "gdl_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "skip_dropout": "each >0..<1",
    "gdl_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "skip_dropout": "rates at which the skips lose feature maps, the finest first; the last one "
    "also stands for all further skips",
    "gdl_weight": "weight of the gradient difference loss",
}
# One skip, the least that the network takes. In so few epochs on slices that are all edge and level
# the edges must not count as much as usual.
CHECKED_WITH = {"gdl_weight": 0.1}
CHECKED_AT = 32


class Model(BaseModel):
    """Encoder and decoder with skips between them.

    Attributes
    ----------
    rates : of dropout, one for each skip, the finest first.
    """

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified_skip",
        latent: int = 128,
        skip_dropout: Sequence[float] = (0.5,),
        gdl_weight: float = 1.0,
        learning_rate: float = 1e-4,
    ):
        super().__init__(shape)
        self.learning_rate, self.gdl_weight = learning_rate, gdl_weight
        module = networks.load(network)
        self.encoder = module.make_skip_encoder(shape.inputs, shape.size, latent)
        self.decoder = module.make_skip_decoder(shape.targets, shape.size, latent)
        self.rates = [check_rate(rate) for rate in skip_dropout]

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        code, skips = self.encoder(batch.slices)
        expected = self.decoder(code, self._dropped(skips))
        error = absolute_errors(batch.targets, expected).mean()
        edges = gradient_differences(batch.targets, expected).mean()
        pixels = batch.targets[0].numel()
        return {
            "loss": error + self.gdl_weight * edges,
            "reconstruction": error / pixels,
            "edges": edges / pixels,
        }

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error per pixel (n,), with all skips whole."""
        return l1_error(self, batch)

    def reconstruct(self, slices: Tensor) -> Tensor:
        """With all skips whole: what the random reconstructions are about."""
        return self.decoder(*self.encoder(slices))

    def embed(self, slices: Tensor) -> Tensor:
        """Features of the encoder's last stage (n, features, rows, columns), before the code."""
        return full_precision(self.encoder.stages(slices))

    def encode(self, slices: Tensor) -> tuple[Tensor, ...]:
        """What nothing random enters: features that follow from the code alone, and all skips."""
        code, skips = self.encoder(slices)
        return self.decoder.start(code), *skips

    def decode_sample(
        self, code: tuple[Tensor, ...], generator: torch.Generator, dropout: float | None = None
    ) -> Tensor:
        """Decode with feature maps of the skips dropped at random.

        Parameters
        ----------
        dropout : rate of all skips; None: theirs in training. At 0 it is the deterministic
            reconstruction.

        Raises
        ------
        ConfigError : the rate is none.
        """
        start, *skips = code
        rate = None if dropout is None else check_rate(dropout)
        return self.decoder.finish(start, self._dropped(skips, generator, rate))

    def _dropped(
        self,
        skips: Sequence[Tensor],
        generator: torch.Generator | None = None,
        rate: float | None = None,
    ) -> list[Tensor]:
        last = len(self.rates) - 1
        rates = [self.rates[min(i, last)] if rate is None else rate for i in range(len(skips))]
        return [drop_maps(one, p, generator) for one, p in zip(skips, rates)]
