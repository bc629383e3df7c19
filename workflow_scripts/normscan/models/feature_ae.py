"""Feature autoencoder: gives back features of healthy slices; what it cannot give back is abnormal.

Source: Meissen et al. 2022, "Unsupervised anomaly localization with structural feature-
autoencoders", section 2: slices are mapped to features of several layers of a network, brought to
one grid; an autoencoder is trained on these with the structural similarity (windows of 5 x 5) as
its loss, and 1 - SSIM, averaged over features and brought to the slice's size, is the map. Layers
0, 1 and 2 of a ResNet-18, an autoencoder of 100, 150, 200 and 300 maps.

Otherwise than there: no weights are downloaded. The network of the features is trained here first,
on the same healthy slices (phase ``features``): a light decoder must paint slices from the features
of slices with Gaussian noise of deviation ``noise``, as in a denoising autoencoder (Vincent et al.
2008), whose first layers are known to become edge and blob detectors. Then it stays as it is.
Noise is of single pixels, in the whole slice: corruptions as large as lesions would teach features
to pass over them. ``feature_steps: 0`` leaves the network its random first weights.

Features trained so have any size, and the constants of the structural similarity suppose a range of
1: each is divided by its root mean square over the training slices.

Not given there or not known, assumed: a grid of a quarter of the slice's side; standard deviation
of the windows 1.5 places; windows inside of the grid for the loss, mirrored borders for the map;
dropout 0.1, batches of 16, early stopping by the loss
of held-out slices.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, Batches, Updates, adam
from normscan.models.parts.structure import mirrored_with_edge, similarity_map
from normscan.networks.feature_layers import PIXELS, FeatureAutoencoder, FeatureLayers, Painter
from normscan.networks.layers import full_precision
from normscan.slices.batch import Batch, SliceShape

TITLE = "structural feature autoencoder"
CITE = {
    "meissen2022": "Meissen F, Paetzold J, Kaissis G, Rueckert D. Unsupervised anomaly "
    "localization with structural feature-autoencoders. International MICCAI Brainlesion "
    "Workshop, 2022. https://arxiv.org/abs/2208.10992",
    "wang2004": "",
    "he2016": "",
    "vincent2008": "Vincent P, Larochelle H, Bengio Y, Manzagol PA. Extracting and composing "
    "robust features with denoising autoencoders. Proceedings of the 25th International "
    "Conference on Machine Learning, 2008. https://doi.org/10.1145/1390156.1390294",
}
LOOK = "features"
COST = 4.0
CAPABILITIES = {"energy", "embed"}
SETTINGS: dict[str, Any] = {
    "feature_width": 64,
    "feature_steps": 500,
    "noise": 0.1,
    "widths": [100, 150, 200, 300],
    "dropout": 0.1,
    "window": 5,
    "learning_rate": 1e-4,
    "batch_size": 16,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
SIDE = "multiple of 8"
ALLOWED = {
    "feature_width": "1..",
    "feature_steps": "0..",
    "noise": "0..",
    "widths": "each whole 1..",
    "dropout": "0..<1",
    "window": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
TOGETHER = {
    "window % 2 == 1": "must be odd, so that it has a centre",
    "4 * window <= size": "must be at most a quarter of the slices' side, the grid of the features",
    "2 ** (len(widths) + 2) < size and size % 2 ** (len(widths) + 2) == 0": "each halves a quarter "
    "of the slices' side, down to two or more; give fewer, or larger slices",
}
MEANING = {
    "feature_width": "maps of the feature layers 0 and 1; layer 2 has twice as many",
    "feature_steps": "of the training of the features; 0: random first weights [batches]",
    "noise": "standard deviation of the noise that features are trained with [units of intensity]",
    "widths": "maps of the autoencoder after each halving",
    "dropout": "rate at which maps of the autoencoder are dropped",
    "window": "side of the structural similarity's window, odd [places]",
}
CHECKED_WITH = {
    "feature_width": 8,
    "feature_steps": 30,
    "widths": [16, 24],
    "max_epochs": 25,
    "patience": 25,
}
CHECKED_AT = 32
DEVIATION = 1.5
# Of a feature that is (nearly) always 0: it is left as it is.
SILENT = 1e-6


class Model(BaseModel):
    """Features, and their autoencoder.

    Raises
    ------
    ConfigError : slices whose features cannot be halved so often; a window of an even side.
    """

    scale: Tensor

    def __init__(
        self,
        shape: SliceShape,
        *,
        feature_width: int = 64,
        feature_steps: int = 500,
        noise: float = 0.1,
        widths: list[int] | None = None,
        dropout: float = 0.1,
        window: int = 5,
        learning_rate: float = 1e-4,
    ):
        super().__init__(shape)
        if window % 2 == 0:
            raise ConfigError(f"window: found {window}; must be odd, so that it has a centre")
        if window > (places := shape.size // PIXELS):
            raise ConfigError(
                f"window: found {window}; features of slices of {shape.size} pixels have "
                f"{places} x {places} places"
            )
        widths = SETTINGS["widths"] if widths is None else widths
        self.phases = ("features", "main") if feature_steps else ("main",)
        self.feature_steps, self.noise, self.window = feature_steps, noise, window
        self.learning_rate = learning_rate
        self.layers = FeatureLayers(shape.inputs, shape.size, feature_width)
        channels = self.layers.channels
        self.painter = Painter(channels, feature_width, shape.targets)
        self.autoencoder = FeatureAutoencoder(channels, shape.size // PIXELS, widths, dropout)
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        parts = (self.layers, self.painter) if phase == "features" else (self.autoencoder,)
        parameters = [one for part in parts for one in part.parameters()]
        return {"main": adam(parameters, self.learning_rate)}

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_steps": self.feature_steps} if phase == "features" else {}

    def start_phase(self, phase: str, batches: Batches) -> None:
        """Before the autoencoder's training: how large the features are."""
        if phase == "main":
            self.eval()
            self.scale.copy_(self._sizes(batches))

    @torch.no_grad()
    def _sizes(self, batches: Batches) -> Tensor:
        """Root mean square of each feature over all training slices (1, channels, 1, 1)."""
        total, count = torch.zeros_like(self.scale, dtype=torch.float64), 0
        for batch in batches():
            found = self.layers(batch.slices).double()
            total += found.square().mean(dim=(2, 3), keepdim=True).sum(dim=0)
            count += len(found)
        sizes = (total / count).sqrt()
        return torch.where(sizes > SILENT, sizes, 1).float()

    def training_mode(self, phase: str) -> None:
        self.eval()
        for part in (self.layers, self.painter) if phase == "features" else (self.autoencoder,):
            part.train()

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        if phase == "features":
            noisy = batch.slices + self.noise * torch.randn_like(batch.slices)
            painted = full_precision(self.painter(self.layers(noisy)))
            losses = {"loss": (batch.targets - painted).square().mean()}
        else:
            losses = {"loss": self._errors(batch.slices).mean()}
        update("main", losses["loss"])
        return losses

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Mean of 1 - SSIM of each slice (n,); None while features are trained."""
        if phase == "features":
            return None
        return self._errors(batch.slices)

    @torch.no_grad()
    def embed(self, slices: Tensor) -> Tensor:
        """Features (n, channels, size / 4, size / 4), at least 0, of about the same size each."""
        return self.layers(slices) / self.scale

    def _errors(self, slices: Tensor) -> Tensor:
        """Mean of 1 - SSIM of each slice (n,), over windows that lie inside."""
        found = self.embed(slices)
        return 1 - self._similarity(found, self.autoencoder(found)).flatten(1).mean(dim=1)

    def _similarity(self, features: Tensor, others: Tensor) -> Tensor:
        return similarity_map(features, others, window=self.window, deviation=DEVIATION)

    def energy(self, slices: Tensor) -> Tensor:
        """1 - SSIM, a mean over features, at the slice's size (n, size, size), in [0, 2]."""
        found = self.embed(slices)
        pair = (
            mirrored_with_edge(one, self.window // 2) for one in (found, self.autoencoder(found))
        )
        # Rounding may end a similarity above 1.
        coarse = (1 - self._similarity(*pair).mean(dim=1, keepdim=True)).clamp_min(0)
        size = slices.shape[-2:]
        return functional.interpolate(coarse, size, mode="bilinear", align_corners=False).squeeze(1)
