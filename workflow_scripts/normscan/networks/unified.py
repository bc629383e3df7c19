"""The unified network: one architecture for all models of the comparative study.

Source: Baur et al. 2021, section III-B, Fig. 4 and Table II (dropout in the dense bottleneck, rate
0.2). Dropout acts in training, between the two dense layers, on the code that is decoded: codes
themselves, their divergences and what a critic sees of them stay whole (the paper drops entries of
"the latent space"). Not given in the paper: the slope of the leaky ReLU (0.3, the default of the
library the study was made with), the output's activation (none) and the initial weights (Glorot
uniform as in that library, but the last layer's a tenth of it: training starts from nearly empty
images instead of from loud noise; an AE then ends at a third of the error).
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise, quieten
from normscan.networks.normalisation import BatchNorm

# Bottlenecks that there are; with a critic, adversarial models can use this network.
CITE = ["baur2021"]
BOTTLENECKS = ["dense", "spatial"]
PARTS = {"encoder", "decoder", "critic", "discriminator"}
SIDE = "8 times a power of two"
# Rate at which entries of a code are dropped.
DROPOUT = {"dense": 0.2}
COARSEST = 8
SLOPE = 0.3
NARROW = 16


def stages(size: int) -> int:
    """Number of stride-2 stages between a slice's side and 8.

    Raises
    ------
    ConfigError : the size is not 8 times a power of two.
    """
    count = (size // COARSEST).bit_length() - 1
    if count < 1 or size != COARSEST * 2**count:
        raise ConfigError(
            f"slices.size: found {size}; the unified network takes 16, 32, 64, 128, 256 or 512"
        )
    return count


def encoder_filters(size: int) -> list[int]:
    """Filters of the encoder's stages: 32, 64, 128, 128 for slices of 128x128."""
    return [min(128, 32 * 2**stage) for stage in range(stages(size))]


def decoder_filters(size: int) -> list[int]:
    """Filters of the decoder's stages: 128, 64, 32, 32 for slices of 128x128."""
    return [max(32, 128 // 2**stage) for stage in range(stages(size))]


def down(channels: int, filters: int) -> list[nn.Module]:
    """Layers of a stage that halves the side."""
    convolution = nn.Conv2d(channels, filters, 5, stride=2, padding=2, bias=False)
    return [convolution, BatchNorm(filters), nn.LeakyReLU(SLOPE)]


def up(channels: int, filters: int) -> list[nn.Module]:
    """Layers of a stage that doubles the side."""
    convolution = nn.ConvTranspose2d(
        channels, filters, 5, stride=2, padding=2, output_padding=1, bias=False
    )
    return [convolution, BatchNorm(filters), nn.LeakyReLU(SLOPE)]


class Encoder(nn.Sequential):
    """Slices (n, contrasts, size, size) -> features (n, channels, 8, 8).

    Attributes
    ----------
    channels : of the features.
    """

    def __init__(self, contrasts: int, size: int):
        layers: list[nn.Module] = []
        channels = contrasts
        for filters in encoder_filters(size):
            layers += down(channels, filters)
            channels = filters
        super().__init__(*layers)
        self.channels = channels


class Decoder(nn.Sequential):
    """Features (n, channels, 8, 8) -> slices (n, contrasts, size, size)."""

    def __init__(self, channels: int, contrasts: int, size: int):
        layers: list[nn.Module] = [BatchNorm(channels), nn.ReLU()]
        for filters in decoder_filters(size):
            layers += up(channels, filters)
            channels = filters
        super().__init__(*layers, nn.Conv2d(channels, contrasts, 1))


class DenseCode(nn.Module):
    """Features (n, channels, 8, 8) -> codes (n, latent), one for each of ``codes``.

    1x1 convolution to 16 channels, flatten, dense.
    """

    def __init__(self, channels: int, latent: int, codes: int = 1):
        super().__init__()
        self.codes = codes
        self.narrow = nn.Conv2d(channels, NARROW, 1)
        # One layer for all codes: one matrix product instead of several.
        self.dense = nn.Linear(NARROW * COARSEST**2, codes * latent)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        flat = self.narrow(features).flatten(1)
        return self.dense(flat).chunk(self.codes, dim=1)


class DenseFeatures(nn.Module):
    """Code (n, latent) -> features (n, channels, 8, 8): dropout, dense, 1x1 convolution."""

    def __init__(self, latent: int, channels: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(latent, NARROW * COARSEST**2)
        self.widen = nn.Conv2d(NARROW, channels, 1)

    def forward(self, code: Tensor) -> Tensor:
        dense = self.dense(self.dropout(code))
        return self.widen(dense.unflatten(1, (NARROW, COARSEST, COARSEST)))


class SpatialCode(nn.Module):
    """Features (n, channels, 8, 8) -> codes (n, latent, 8, 8) by a 1x1 convolution."""

    def __init__(self, channels: int, latent: int, codes: int = 1):
        super().__init__()
        self.codes = codes
        self.convolution = nn.Conv2d(channels, codes * latent, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        return self.convolution(features).chunk(self.codes, dim=1)


class SpatialFeatures(nn.Conv2d):
    """Code (n, latent, 8, 8) -> features (n, channels, 8, 8) by a 1x1 convolution."""

    def __init__(self, latent: int, channels: int):
        super().__init__(latent, channels, 1)


class UnifiedEncoder(nn.Module):
    """Slices (n, contrasts, size, size) -> codes, one tensor for each of ``codes``.

    Parameters
    ----------
    bottleneck : ``dense`` (codes (n, latent)) or ``spatial`` (codes (n, latent, 8, 8)).
    latent : length of a code, or its channels.
    """

    def __init__(
        self,
        contrasts: int,
        size: int,
        latent: int = 128,
        bottleneck: str = "dense",
        codes: int = 1,
    ):
        super().__init__()
        code = {"dense": DenseCode, "spatial": SpatialCode}[check_bottleneck(bottleneck)]
        self.stages = Encoder(contrasts, size)
        self.code = code(self.stages.channels, latent, codes)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        return tuple(full_precision(code) for code in self.code(self.stages(slices)))


class UnifiedDecoder(nn.Module):
    """Code of a :class:`UnifiedEncoder` -> slices (n, contrasts, size, size), any real value.

    Parameters
    ----------
    dropout : rate, of a dense bottleneck.
    """

    def __init__(
        self,
        contrasts: int,
        size: int,
        latent: int = 128,
        bottleneck: str = "dense",
        dropout: float = DROPOUT["dense"],
    ):
        super().__init__()
        channels = encoder_filters(size)[-1]
        if check_bottleneck(bottleneck) == "dense":
            self.features = DenseFeatures(latent, channels, dropout)
        else:
            self.features = SpatialFeatures(latent, channels)
        self.stages = Decoder(channels, contrasts, size)
        self.apply(initialise)
        last = self.stages[-1]
        assert isinstance(last, nn.Conv2d)
        quieten(last)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(self.features(code)))


class UnifiedCritic(nn.Module):
    """Slices -> one number each; the features are those of the last stage (section III-B).

    "A replica of the encoder", without its batch norms: they would make the gradient penalty, which
    is meant for each slice on its own, one of the whole batch (Gulrajani et al. 2017, section 4).
    """

    def __init__(self, contrasts: int, size: int):
        super().__init__()
        layers: list[nn.Module] = []
        channels = contrasts
        for filters in encoder_filters(size):
            layers += [nn.Conv2d(channels, filters, 5, stride=2, padding=2), nn.LeakyReLU(SLOPE)]
            channels = filters
        self.features = nn.Sequential(*layers)
        self.judge = nn.Linear(channels * COARSEST**2, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> Tensor:
        return self.judge(self.features(slices).flatten(1)).squeeze(1)


class UnifiedDiscriminator(nn.Module):
    """Slices -> one logit each: the encoder with its batch norms, and a dense layer.

    For GANs without a gradient penalty, whose discriminators batch norm is good for (Radford et al.
    2016, section 3).
    """

    def __init__(self, contrasts: int, size: int):
        super().__init__()
        self.features = Encoder(contrasts, size)
        self.judge = nn.Linear(self.features.channels * COARSEST**2, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> Tensor:
        return self.judge(self.features(slices).flatten(1)).squeeze(1)


def make_encoder(
    contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1
) -> UnifiedEncoder:
    """The encoder; parameters as of :class:`UnifiedEncoder`."""
    return UnifiedEncoder(contrasts, size, latent, bottleneck, codes)


def make_decoder(
    contrasts: int, size: int, latent: int, bottleneck: str, dropout: float = DROPOUT["dense"]
) -> UnifiedDecoder:
    """The decoder; parameters as of :class:`UnifiedDecoder`."""
    return UnifiedDecoder(contrasts, size, latent, bottleneck, dropout)


def make_critic(contrasts: int, size: int) -> UnifiedCritic:
    """The critic."""
    return UnifiedCritic(contrasts, size)


def make_discriminator(contrasts: int, size: int) -> UnifiedDiscriminator:
    """The discriminator."""
    return UnifiedDiscriminator(contrasts, size)


def check_bottleneck(bottleneck: str) -> str:
    """The same word, or ConfigError when there is no such bottleneck."""
    if bottleneck not in ("dense", "spatial"):
        raise ConfigError(f"bottleneck: found '{bottleneck}'; allowed: dense, spatial")
    return bottleneck
