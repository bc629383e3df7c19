"""A coder whose codes can be read off the slices, and a prior whose probabilities are given."""

import torch
from torch import nn
from torch.nn import functional

from normscan.models import registry


class Blocks(nn.Module):
    """Blocks of pixels as codes: their mean, 0 to 1, in ``codes`` steps."""

    def __init__(self, codes=4, side=2, size=4):
        super().__init__()
        self.grid, self.block = (codes, side, side), size // side
        self.weight = nn.Parameter(torch.ones(()))

    def code_grid(self):
        return self.grid

    def code_maps(self, slices):
        means = functional.avg_pool2d(slices[:, 0], self.block)
        return (means * (self.grid[0] - 1)).round().long().clamp(0, self.grid[0] - 1)

    def decode_codes(self, codes):
        values = (codes / (self.grid[0] - 1) * self.weight)[:, None]
        return values.repeat_interleave(self.block, -1).repeat_interleave(self.block, -2)


class Given(nn.Module):
    """The same logits (codes,) in every place, whatever came before; counts its passes."""

    def __init__(self, probabilities):
        super().__init__()
        self.register_buffer("logits", torch.tensor(probabilities).log())
        self.passes = 0

    def forward(self, codes):
        self.passes += 1
        return self.logits[:, None, None].expand(len(codes), -1, *codes.shape[1:])


def made_prior(codes=4, side=2, size=4, seed=0, spread=0.4, **settings):
    """A prior of maps of ``side`` x ``side`` codes; ``spread`` of its weights, None: the usual."""
    uses = {"coder": Blocks(codes, side, size)}
    settings = {"width": 12, "depth": 3, **settings}
    model = registry.build("code_prior", (1, 1, size), seed=seed, uses=uses, **settings).eval()
    generator = torch.Generator().manual_seed(seed)
    for one in model.trainable() if spread else []:
        # Far from even probabilities, which would hide mistakes.
        nn.init.normal_(one, std=spread, generator=generator)
    return model


def given_prior(probabilities, side=2, size=4):
    """A prior that gives each code the same probability everywhere."""
    model = made_prior(len(probabilities), side, size)
    model.pixels = Given(probabilities)
    return model
