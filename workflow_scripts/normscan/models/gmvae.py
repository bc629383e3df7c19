"""Gaussian mixture VAE. Source: You et al. 2019, section 2.1, appendix A; Baur et al. 2021, III-B.

After Dilokthanakul et al. 2016: w ~ N(0, 1); cluster c uniform; p(z|w, c) Gaussian, mean and
variance of every cluster from a small network on w; x from z. The posteriors of z and w come from
the encoder, that of c from Bayes' rule. The negative evidence lower bound has four parts, summed
over pixels, over code dimensions and, where codes are spatial, over positions (each has its own
cluster):

    L1 error  +  E_c KL(q(z|x) || p(z|w, c))  +  KL(q(w|x) || p(w))  +  KL(p(c|z, w) || uniform)

The last part is not pushed below ``cluster_floor`` per position (minimum information constraint of
Dilokthanakul et al., section 4.2; the value 1 is the study's code's): clusters would merge. Nine
clusters are You et al.'s choice (section 3.2). Not given in the papers: the hidden layer of 64 for
dense codes (Table 3 has it for images), and limits of the prior's log variance (+-6, against
clusters that shrink to a point). With ``likelihood: gaussian`` the first part is that of You et
al., whose standard deviation the decoder predicts (:mod:`normscan.models.parts.likelihood`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.models.parts.likelihood import LikelihoodModel
from normscan.networks.layers import full_precision, initialise
from normscan.slices.batch import Batch, SliceShape

TITLE = "Gaussian mixture variational autoencoder"
CITE = ["dilokthanakul2016"]
LOOK = "mixture"
CAPABILITIES = {"reconstruct", "elbo", "sample", "embed"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "likelihood": "l1",
    "clusters": 9,
    "cluster_floor": 1.0,
    "kl_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "likelihood": ["l1", "gaussian"],
    "clusters": "1..",
    "cluster_floor": "0..",
    "kl_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "clusters": "of the prior",
    "cluster_floor": "the clusters' divergence is not pushed below this, at each place [nats]",
}
HIDDEN = 64
LIMIT = 6.0


class ClusterPrior(nn.Module):
    """w (n, latent, h, w) -> mean and log variance of each cluster (n, clusters, latent, h, w)."""

    def __init__(self, latent: int, clusters: int):
        super().__init__()
        self.shape = (2 * clusters, latent)
        self.layers = nn.Sequential(
            nn.Conv2d(latent, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, 2 * clusters * latent, 1)
        )
        self.apply(initialise)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        found = full_precision(self.layers(code)).unflatten(1, self.shape)
        mean, log_variance = found.chunk(2, dim=1)
        return mean, log_variance.clamp(-LIMIT, LIMIT)


class Model(LikelihoodModel):
    """Encoder to means and log variances of z and w, prior of z by cluster, decoder."""

    codes = 4

    def __init__(
        self,
        shape: SliceShape,
        *,
        latent: int = 128,
        clusters: int = 9,
        cluster_floor: float = 1.0,
        kl_weight: float = 1.0,
        **settings: Any,
    ):
        super().__init__(shape, latent=latent, **settings)
        self.kl_weight, self.cluster_floor = kl_weight, cluster_floor
        self.prior = ClusterPrior(latent, clusters)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        codes = self.encoder(batch.slices)
        z, w = draw(*codes[:2]), draw(*codes[2:])
        surprise, errors = self.negative_log(batch.targets, z)
        parts = {name: part.mean() for name, part in self.divergences(codes, z, w).items()}
        return {
            "loss": surprise.mean() + self.kl_weight * sum(parts.values()),
            **self.fits(surprise, errors, batch),
            **parts,
        }

    def divergences(self, codes: tuple[Tensor, ...], z: Tensor, w: Tensor) -> dict[str, Tensor]:
        """The three divergences of each slice (n,): ``z``, ``w`` and ``cluster``.

        Parameters
        ----------
        codes : mean and log variance of z, then of w, as the encoder gives them.
        z, w : the codes at which they are taken: samples, or the means.
        """
        mean, log_variance = (_image(code).unsqueeze(1) for code in codes[:2])
        prior_mean, prior_log_variance = self.prior(_image(w))
        likelihood = _log_normal(_image(z).unsqueeze(1), prior_mean, prior_log_variance)
        log_share = torch.log_softmax(likelihood.sum(dim=2), dim=1)
        share = log_share.exp()
        kl = _kl(mean, log_variance, prior_mean, prior_log_variance).sum(dim=2)
        cluster = (share * (log_share + math.log(share.shape[1]))).sum(dim=1)
        return {
            "z": (share * kl).flatten(1).sum(dim=1),
            "w": kl_to_standard(*codes[2:]),
            "cluster": cluster.clamp(min=self.cluster_floor).flatten(1).sum(dim=1),
        }

    def encode(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of z, each (n, latent) or (n, latent, h, w)."""
        mean, log_variance, _, _ = self.encoder(slices)
        return mean, log_variance

    def decode_sample(self, code: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Decode a z drawn from the posterior."""
        return self.expected(draw(*code, generator))

    def elbo_parts(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """The decoded mean of z, and the weighted divergences (n,) at the means of z and w."""
        codes = self.encoder(slices)
        parts = self.divergences(codes, codes[0], codes[2])
        return self.expected(codes[0]), self.kl_weight * (
            parts["z"] + parts["w"] + parts["cluster"]
        )


def _image(code: Tensor) -> Tensor:
    """A dense code as an image of one pixel; spatial ones as they are."""
    return code if code.ndim == 4 else code[..., None, None]


def _log_normal(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of N(mean, exp(log_variance)), without the constant."""
    return -0.5 * (log_variance + (value - mean).square() * (-log_variance).exp())


def _kl(mean: Tensor, log_variance: Tensor, other: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL of one Gaussian to another, of every dimension."""
    squares = log_variance.exp() + (mean - other).square()
    ratio = squares * (-other_log_variance).exp()
    return 0.5 * (ratio + other_log_variance - log_variance - 1)
