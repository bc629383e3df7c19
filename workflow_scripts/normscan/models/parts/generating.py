"""What models with a generator and a discriminator can do, whichever way they were trained."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from normscan.networks.layers import full_precision


class Generating:
    """``generate`` and ``discriminate`` of a model whose parts are ``decoder`` and ``critic``.

    The model says itself what its codes are drawn from: ``draw_codes``.
    """

    decoder: Any
    critic: Any

    def generate(self, codes: Tensor) -> Tensor:
        """Slices from codes."""
        return self.decoder(codes)

    def discriminator_features(self, slices: Tensor) -> Tensor:
        """Features of the last stage, before the layer that judges."""
        return full_precision(self.critic.features(slices))
