"""Small models with what detectors need, simple enough to know the right answer."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from normscan.detectors import registry
from normscan.models import registry as models
from normscan.models.capabilities import PROTOCOLS
from normscan.slices.batch import Batch

CPU = torch.device("cpu")


def detect(name, model, slices, brain, *, seed=0, contrasts=("FLAIR",), **settings):
    """What a detector, prepared with these settings, says of one scan."""
    uses = {role: used(needs) for role, needs in registry.describe(name)["uses"].items()}
    ready = registry.prepare(
        name, model, device=CPU, contrasts=contrasts, **{"uses": uses, **settings}
    )
    # Of a grid of eight slices, the lowest first.
    positions = np.minimum(np.arange(len(slices)) / 7, 1).astype(np.float32)
    layers = {"brain": brain.astype(np.int16)}
    return ready.detect(Batch.of(slices, layers=layers, position=positions), seed)


def used(needs):
    """A model for a role of a detector."""
    return next(one for one in (Patches(),) if all(isinstance(one, PROTOCOLS[n]) for n in needs))


class Linear(nn.Module):
    """A linear-Gaussian model: x = W z + noise, z standard normal, pixels of one channel.

    ``elbo_loss`` is the quadratic x' A x / 2 with A = I - W (W'W + I)^-1 W', the exact negative log
    likelihood up to a constant; ``reconstruct`` gives the posterior mean, samples add ``spread``.
    """

    def __init__(self, size=4, latent=3, spread=0.5, seed=0, contrasts=1):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        pixels = contrasts * size**2
        self.shape, self.spread = (contrasts, size, size), spread
        self.weight = nn.Parameter(torch.randn(pixels, latent, generator=generator))

    def gain(self):
        return torch.linalg.inv(self.weight.T @ self.weight + torch.eye(self.weight.shape[1]))

    def precision(self):
        """A of the objective (pixels, pixels)."""
        return torch.eye(len(self.weight)) - self.weight @ self.gain() @ self.weight.T

    def encode(self, slices):
        return slices.flatten(1) @ self.weight @ self.gain()

    def decode(self, code):
        return (code @ self.weight.T).unflatten(1, self.shape)

    def reconstruct(self, slices):
        return self.decode(self.encode(slices))

    def decode_sample(self, code, generator):
        noise = torch.randn(code.shape, generator=generator, dtype=code.dtype)
        return self.decode(code + self.spread * noise)

    def elbo_loss(self, slices):
        flat = slices.flatten(1)
        return 0.5 * ((flat @ self.precision()) * flat).sum(dim=1)

    def elbo_parts(self, slices):
        """The same bound, written as if the likelihood were L1 around 0."""
        error = slices.abs().flatten(1).sum(dim=1)
        return torch.zeros_like(slices), self.elbo_loss(slices) - error


class Convolutional(nn.Module):
    """Convolutions, batch norm and dropout: everything that could make slices depend on others."""

    def __init__(self, contrasts=1, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Conv2d(contrasts, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.LeakyReLU(0.3),
                nn.Dropout(0.5),
                nn.Conv2d(4, contrasts, 3, padding=1),
            )
            self.layers[1].running_mean.normal_()
            self.layers[1].running_var.uniform_(0.5, 2)

    def reconstruct(self, slices):
        return self.layers(slices)

    def encode(self, slices):
        return slices

    def decode_sample(self, code, generator):
        return self.layers(code) + torch.randn(len(code), 1, 1, 1, generator=generator)

    def elbo_loss(self, slices):
        return (slices - self.layers(slices)).abs().flatten(1).sum(dim=1)

    def elbo_parts(self, slices):
        return self.layers(slices), slices.new_zeros(len(slices))


class Scores(nn.Module):
    """Says of pixels and slices what can be read off them."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def energy(self, slices):
        return self.scale * slices.abs().mean(dim=1)

    def segment(self, slices):
        return (self.scale * slices.mean(dim=1)).sigmoid()

    def score_slices(self, slices):
        return self.scale * slices.flatten(1).amax(dim=1)


class Patches(nn.Module):
    """Embeds patches by a linear map."""

    def __init__(self, side=2, channels=1):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, channels, side, side, generator=generator))

    def patch_side(self):
        return self.weight.shape[-1]

    def embed_patches(self, images, stride=1):
        return functional.conv2d(images, self.weight, stride=stride)


def bank():
    """A memory bank of three entries on the features of an AE."""
    encoder = models.build("ae", (1, 1, 16), latent=4)
    model = models.build("feature_bank", (1, 1, 16), uses={"features": encoder})
    model.bank = torch.rand(3, 32, generator=torch.Generator().manual_seed(0))
    return model


def prior():
    """A prior of maps of 2x2 codes of an untrained VQ-VAE."""
    coder = models.build("vqvae", (1, 1, 16), codes=16, latent=4)
    entries = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    coder.codebook.entries.copy_(entries)
    return models.build("code_prior", (1, 1, 16), width=4, depth=2, uses={"coder": coder})


def norm():
    """Means and spreads of eight slices, the spreads above 1."""
    model = models.build("normative_map", (1, 1, 16))
    generator = torch.Generator().manual_seed(0)
    model.mean = torch.rand(8, 1, 16, 16, generator=generator)
    model.covariance = 4 + torch.rand(8, 1, 16, 16, generator=generator)
    return model
