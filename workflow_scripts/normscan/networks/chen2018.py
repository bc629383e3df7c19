"""The network published with the constrained AAE.

Source: Chen and Konukoglu 2018, "Unsupervised Detection of Lesions in Brain MRI using constrained
adversarial auto-encoders" (reference [5] of Baur et al. 2021): residual encoder and decoder, a code
of 128. The seed papers give no layer list; assumed are the residual blocks of the Wasserstein GAN
that the model's adversarial part follows.
"""

from __future__ import annotations

from normscan.networks.residual import Decoder, Encoder

CITE = ["chen2018"]
BOTTLENECKS = ["dense"]
PARTS = {"encoder", "decoder"}
SIDE = "multiple of 8"


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size that is no multiple of 8."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder."""
    return Decoder(contrasts, size, latent)
