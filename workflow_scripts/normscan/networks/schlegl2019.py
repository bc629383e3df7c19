"""The network published with f-AnoGAN.

Source: Schlegl et al. 2019, "f-AnoGAN" (reference [17] of Baur et al. 2021), built on the residual
generator and critic of Gulrajani et al. 2017. Assumed: the encoder has the critic's layers with a
dense code (the paper: "a similar architecture as the discriminator"); slices of 128x128 come from
features of 16x16 (theirs were patches of 64x64 from 8x8); the output is linear as all models' here,
where theirs is a tanh.
"""

from __future__ import annotations

from normscan.networks.residual import Critic, Decoder, Encoder

CITE = ["schlegl2019"]
BOTTLENECKS = ["dense"]
PARTS = {"encoder", "decoder", "critic"}
SIDE = "multiple of 8"


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size that is no multiple of 8."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The generator."""
    return Decoder(contrasts, size, latent)


def make_critic(contrasts: int, size: int):
    """The critic."""
    return Critic(contrasts, size)
