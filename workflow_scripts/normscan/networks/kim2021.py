"""Networks of Kim et al. 2021: contrast-to-contrast translation, and dimension reduction.

Source: Kim et al. 2021, section 2.2 and supplement I-A and I-B. The first is built like the style
transfer network of Johnson et al. 2016: a 9x9 convolution, 3x3 convolutions of stride 2, four
residual blocks of 256 channels, transposed convolutions back up, a 9x9 convolution; instance norm
and ReLU. The channel of the contrast that is to be predicted is filled with the contrast's median,
and that map goes into the first and the last layer.

A map that is the same everywhere gives each filter of the first layer a constant, which instance
norm takes away: there it only hides the contrast, and says by its place which one is sought. In the
last layer a filter of such a map is one number (``level``), by which the median is multiplied.

Not given in the paper: channels at full and half size (64 and 128, so that they double down to the
256), the sizes of the outer convolutions and norms with a scale (as Johnson et al.), mirrored
borders, and which pixels the median is of. Here these are the slice's own pixels of the brain:
of all pixels it would be the background's 0 in most slices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.foreground import inside
from normscan.networks.layers import full_precision, initialise, quieten
from normscan.networks.padding import Mirror

CITE = {
    "kim2021": "",
    "johnson2016": "Johnson J, Alahi A, Fei-Fei L. Perceptual losses for real-time style transfer "
    "and super-resolution. European Conference on Computer Vision, 2016. "
    "https://doi.org/10.1007/978-3-319-46475-6_43",
}
PARTS = {"contrast_to_contrast", "dimension_reduction"}
SIDE = "multiple of 4"
BLOCKS = 4
# Borders of the 9x9 convolutions mirror so many pixels; the side is halved twice.
REACH, HALVINGS = 4, 2


class ContrastToContrast(nn.Module):
    """Each contrast of slices (n, contrasts, size, size), predicted from the others.

    Parameters
    ----------
    width : channels at full size; the residual blocks have four times as many.
    median : whether the hidden channel holds the contrast's median, or 0.

    Raises
    ------
    ConfigError : a single contrast, or slices that cannot be halved twice to at least 2 pixels.
    """

    def __init__(self, contrasts: int, size: int, width: int = 64, median: bool = True):
        super().__init__()
        if contrasts < 2:
            raise ConfigError(
                f"inputs: found {contrasts} contrast; network kim2021 predicts each contrast from "
                "the others and needs two or more"
            )
        least = 2 ** (HALVINGS + 1)
        if size < least or size % 2**HALVINGS:
            raise ConfigError(
                f"slices.size: found {size}; network kim2021 takes multiples of {2**HALVINGS}, at "
                f"least {least}"
            )
        self.median = median
        widths = [width, 2 * width, 4 * width]
        layers = [Mirror(REACH), *_normed(nn.Conv2d(contrasts, width, 9, bias=False))]
        for narrow, wide in zip(widths, widths[1:]):
            layers += _normed(nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False))
        layers += [Block(widths[-1]) for _ in range(BLOCKS)]
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1]):
            rise = nn.ConvTranspose2d(
                wide, narrow, 3, stride=2, padding=1, output_padding=1, bias=False
            )
            layers += _normed(rise)
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(width, 1, 9)
        self.head = nn.Sequential(Mirror(REACH), last)
        self.level = nn.Parameter(torch.ones(()))
        self.apply(initialise)
        # Training starts from the median, and not from noise.
        quieten(last)

    def forward(self, slices: Tensor) -> Tensor:
        """Predictions, like ``slices``; all contrasts of all slices go through at once.

        The background stays 0: what the median adds is the same everywhere, and no layer before
        knows the median to take it away there.
        """
        levels = brain_medians(slices) if self.median else slices.new_zeros(slices.shape[:2])
        found = self.head(self.features(hidden(slices, levels)))
        found = full_precision(found) + self.level * levels.reshape(-1, 1, 1, 1)
        return found.view(slices.shape) * inside(slices).unsqueeze(1)


class Block(nn.Module):
    """Two 3x3 convolutions with instance norm beside the identity (supplement I-A)."""

    def __init__(self, channels: int):
        super().__init__()
        self.main = nn.Sequential(
            *_normed(nn.Conv2d(channels, channels, 3, padding=1, bias=False)),
            *_normed(nn.Conv2d(channels, channels, 3, padding=1, bias=False))[:-1],
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.main(features)


class DimensionReduction(nn.Module):
    """Contrasts of each pixel in fewer numbers, and back (supplement I-B).

    ``reduce`` sees a neighbourhood of 7x7 pixels, ``restore`` the pixel alone.

    Parameters
    ----------
    reduced : numbers of a pixel that are kept.
    """

    def __init__(self, contrasts: int, reduced: int = 3):
        super().__init__()
        self.reduce = nn.Sequential(*_tanh_between([contrasts, 16, 8, reduced], 3))
        self.restore = nn.Sequential(*_tanh_between([reduced, 8, 16, contrasts], 1))
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, reduced, size, size), and the slices as they follow from them."""
        features = self.reduce(slices)
        return full_precision(features), full_precision(self.restore(features))


def brain_medians(slices: Tensor) -> Tensor:
    """Median (n, contrasts) over the pixels inside; the lower one of two, 0 where there are none.

    By sorting: torch's own medians do not repeat their bits on a GPU.
    """
    within = inside(slices).unsqueeze(1)
    values = slices.masked_fill(~within, torch.inf).flatten(2).sort(dim=2).values
    count = within.flatten(2).sum(dim=2)
    place = ((count - 1) // 2).clamp_min(0).expand(values.shape[:2])
    found = values.gather(2, place.unsqueeze(2)).squeeze(2)
    return torch.where(count > 0, found, 0.0)


def hidden(slices: Tensor, levels: Tensor) -> Tensor:
    """What predictions are made from: each slice once for every contrast, which is replaced in it.

    Parameters
    ----------
    levels : (n, contrasts), values of the replacing maps.

    Returns
    -------
    Slices (n * contrasts, contrasts, size, size), channels last.
    """
    count, contrasts, *sides = slices.shape
    own = torch.eye(contrasts, dtype=torch.bool, device=slices.device)[None, :, :, None, None]
    found = torch.where(own, levels[:, :, None, None, None], slices.unsqueeze(1))
    found = found.view(count * contrasts, contrasts, *sides)
    return found.contiguous(memory_format=torch.channels_last)


def make_contrast_to_contrast(
    contrasts: int, size: int, *, width: int, median: bool
) -> ContrastToContrast:
    """The translation network. ConfigError: as :class:`ContrastToContrast`."""
    return ContrastToContrast(contrasts, size, width, median)


def make_dimension_reduction(contrasts: int, *, reduced: int) -> DimensionReduction:
    """The reduction network."""
    return DimensionReduction(contrasts, reduced)


def _normed(layer: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """A convolution, instance norm, ReLU. (Torch's own instance norm leaves channels last.)"""
    channels = layer.out_channels
    return [layer, nn.GroupNorm(channels, channels), nn.ReLU(inplace=True)]


def _tanh_between(widths: list[int], kernel: int) -> list[nn.Module]:
    """Convolutions of these widths, with tanh between them."""
    layers: list[nn.Module] = []
    for narrow, wide in zip(widths, widths[1:]):
        layers += [nn.Conv2d(narrow, wide, kernel, padding=kernel // 2), nn.Tanh()]
    return layers[:-1]
