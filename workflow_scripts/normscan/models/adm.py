"""ADM network: a Gaussian mixture of what contrasts say of each other, and of what they are.

Source: Kim et al. 2021, section 2. Two kinds of features of a pixel: ``translated``, how far each
contrast is from its prediction by the others (Z_ct), and ``reduced``, three numbers that the
contrasts follow from (Z_dr). The energy of a pixel is its negative log likelihood in a mixture of
six Gaussians. Phase ``translation`` trains the predictions (Eq. 13), phase ``density`` the
reduction and the mixture together (Eq. 14), phase ``fit`` estimates the final mixture. Variants of
section 2.6: one kind of features alone (``features``), and features that do not follow the
mixture's loss (``joint: false``); of section 2.7: ``bound``; of supplement V: ``median``.

Not given: the learning rate (that of Johnson et al. 2016, whose network it is), the batch size, how
large the part of the training slices is that the final mixture is of (``fit_share``), and whether
background is part of losses and density. Here it is not, as in what the paper measures. Squared
errors are summed over contrasts and averaged over pixels: with sums over whole slices
``density_weight`` would weigh nothing. The paper trains for 50 epochs (BraTS) or 200 (ISLES, with
``density_weight`` 5e-3); the epoch that is best on held-out slices is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, Batches, Updates, adam
from normscan.models.parts import density
from normscan.models.parts.density import DensityEstimator, Mixture, Moments
from normscan.networks import registry as networks
from normscan.networks.foreground import inside
from normscan.slices.batch import Batch, SliceShape

TITLE = "ADM network"
CITE = {"kim2021": ""}
LOOK = "density"
COST = 60.0
CAPABILITIES = {"energy", "energy_by_feature", "reconstruct"}
PARTS = {"contrast_to_contrast", "dimension_reduction"}
LEAST_CONTRASTS = 2
SETTINGS = {
    "network": "kim2021",
    "width": 64,
    "median": True,
    "reduced": 3,
    "features": "both",
    "joint": True,
    "components": 6,
    "bound": "eigenvalue",
    "epsilon": 1e-6,
    "penalty_weight": 1e-5,
    "density_weight": 5e-4,
    "fit_share": 1.0,
    "learning_rate": 1e-3,
    "batch_size": 8,
    "max_epochs": 50,
    "patience": 50,
    "precision": "auto",
}
ALLOWED = {
    "width": "1..",
    "reduced": "1..",
    "features": ["both", "translated", "reduced"],
    "components": "1..",
    "bound": ["eigenvalue", "none", "penalty"],
    "epsilon": ">0..",
    "penalty_weight": "0..",
    "density_weight": "0..",
    "fit_share": ">0..1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "width": "feature maps of the translating network",
    "median": "whether the contrast that is predicted is replaced by its median, or by 0",
    "reduced": "numbers that a pixel's contrasts are reduced to",
    "features": "what the mixture is of: translated (ADM_ct of the paper), reduced (ADM_dr), or "
    "both",
    "joint": "whether the features follow the loss of the mixture",
    "bound": "what keeps covariances from collapse: a least eigenvalue, a penalty (as in DAGMM), "
    "or nothing",
    "epsilon": "the least eigenvalue [squared units of the features]",
    "penalty_weight": "weight of the penalty on small variances, for that bound",
    "density_weight": "weight of the mean energy; the reduction's errors have 1",
    "fit_share": "share of the training slices that the final mixture is fitted to",
}
# For tests of all families.
CHECKED_WITH = {"width": 4, "learning_rate": 1e-2, "max_epochs": 10}


class Model(BaseModel):
    """Translation, reduction and density; without those that ``features`` leaves out."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "kim2021",
        width: int = 64,
        median: bool = True,
        reduced: int = 3,
        features: str = "both",
        joint: bool = True,
        components: int = 6,
        bound: str = "eigenvalue",
        epsilon: float = 1e-6,
        penalty_weight: float = 1e-5,
        density_weight: float = 5e-4,
        fit_share: float = 1.0,
        learning_rate: float = 1e-3,
    ):
        super().__init__(shape)
        module, contrasts = networks.load(network), shape.inputs
        self.joint, self.learning_rate = joint, learning_rate
        self.bound, self.penalty_weight, self.density_weight = bound, penalty_weight, density_weight
        self.fit_share = fit_share
        self.translation: nn.Module | None = None
        self.reduction: nn.Module | None = None
        # kind -> how many numbers of a pixel, in their order.
        self.lengths: dict[str, int] = {}
        if features != "reduced":
            make = module.make_contrast_to_contrast
            self.translation = make(contrasts, shape.size, width=width, median=median)
            self.lengths["translated"] = contrasts
        if features != "translated":
            self.reduction = module.make_dimension_reduction(contrasts, reduced=reduced)
            self.lengths["reduced"] = reduced
        self.density = DensityEstimator(
            sum(self.lengths.values()), components, bound=bound, epsilon=epsilon
        )
        first = () if self.translation is None else ("translation",)
        self.phases = (*first, "density", "fit")

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        parts = [self.translation] if phase == "translation" else [self.reduction, self.density]
        parameters = [one for part in parts if part is not None for one in part.parameters()]
        return {"main": adam(parameters, self.learning_rate)}

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_epochs": 0} if phase == "fit" else {}

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        losses = self._losses(phase, batch.slices)
        update("main", losses["loss"])
        return losses

    def _losses(self, phase: str, slices: Tensor) -> dict[str, Tensor]:
        if phase == "density":
            return self.density_losses(slices)
        return self.translation_losses(slices)

    def translation_losses(self, slices: Tensor) -> dict[str, Tensor]:
        """Eq. 13."""
        assert self.translation is not None
        expected = self.translation(slices)
        return {
            "loss": squared_errors(slices, expected)[inside(slices)].mean(),
            "reconstruction": (slices - expected).abs().mean(),
        }

    def density_losses(self, slices: Tensor) -> dict[str, Tensor]:
        """Eq. 14, with the penalty of section 2.7 where it is asked for."""
        features, restored = self._features(slices)
        within = inside(slices)
        mixture, energies = self._energies_of_batch(vectors(features, within))
        losses = {"energy": energies.mean()}
        loss = self.density_weight * losses["energy"]
        if restored is not None:
            loss = loss + squared_errors(slices, restored)[within].mean()
            losses["reconstruction"] = (slices - restored).abs().mean()
        if self.bound == "penalty":
            losses["penalty"] = density.penalty(mixture)
            loss = loss + self.penalty_weight * losses["penalty"]
        return {"loss": loss, **losses}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The phase's loss of each slice (n,), its mixture that of the held-out batch."""
        slices, within = batch.slices, inside(batch.slices)
        if phase == "translation":
            return means_inside(squared_errors(slices, self.reconstruct(slices)), within)
        features, restored = self._features(slices)
        _, energies = self._energies_of_batch(vectors(features, within))
        losses = self.density_weight * spread(energies, within)
        if restored is not None:
            losses = losses + squared_errors(slices, restored)
        return means_inside(losses, within)

    def _features(self, slices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features of pixels (n, d, size, size), and the slices as they follow from the reduced."""
        parts, restored = [], None
        if self.translation is not None:
            # Eq. 14 has no parameter of the translation.
            with torch.no_grad():
                parts.append((slices - self.translation(slices)).abs())
        if self.reduction is not None:
            reduced, restored = self._reduced(slices)
            parts.append(reduced if self.joint else reduced.detach())
        return torch.cat(parts, dim=1), restored

    def _reduced(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Reduced features, and the slices as they follow from them, 0 in the background."""
        assert self.reduction is not None
        features, restored = self.reduction(slices)
        return features, restored * inside(slices).unsqueeze(1)

    def _energies_of_batch(self, found: Tensor) -> tuple[Mixture, Tensor]:
        """The mixture of feature vectors (n, d), and their energies (n,) in it."""
        mixture = self.density.estimate(found, self.density.responsibilities(found))
        return mixture, density.energy(found, mixture)

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        """Fit the final mixture; how many slices and pixels it is of."""
        if phase != "fit":
            return None
        total, slices, pixels = None, 0, 0
        for chosen in density.evenly_chosen(batches(), self.fit_share):
            found = vectors(self._features(chosen)[0], inside(chosen))
            part = Moments.of(found, self.density.responsibilities(found))
            total = part if total is None else total + part
            slices, pixels = slices + len(chosen), pixels + len(found)
        assert total is not None
        self.density.fit(total)
        least = density.smallest_eigenvalue(self.density.mixture)
        return {"slices": slices, "pixels": pixels, "smallest_eigenvalue": float(least)}

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Each contrast as the others predict it; without translation, as reduced features do."""
        if self.translation is not None:
            return self.translation(slices)
        return self._reduced(slices)[1]

    def energy(self, slices: Tensor) -> Tensor:
        """Energies (n, size, size) above their lower bound, 0 in the background."""
        return self._map(slices, self.density.mixture, slice(None))

    def energy_by_feature(self, slices: Tensor, kind: str) -> Tensor:
        """As :meth:`energy`, in the marginal of the mixture over one kind of features (Fig. 6).

        Raises
        ------
        ConfigError : this model has no such features.
        """
        if kind not in self.lengths:
            raise ConfigError(
                f"features: found '{kind}', but this model has no others than "
                f"{', '.join(self.lengths)}"
            )
        names = list(self.lengths)
        first = sum(self.lengths[name] for name in names[: names.index(kind)])
        chosen = slice(first, first + self.lengths[kind])
        return self._map(slices, marginal(self.density.mixture, chosen), chosen)

    def _map(self, slices: Tensor, mixture: Mixture, chosen: slice) -> Tensor:
        """Energies in a mixture of the chosen features, less the least there can be."""
        within = inside(slices)
        found = vectors(self._features(slices)[0][:, chosen], within)
        energies = density.energy(found, mixture) - density.offset(mixture)
        # Rounding may leave the best of all pixels below.
        return spread(energies.float().clamp_min(0), within)


def squared_errors(slices: Tensor, expected: Tensor) -> Tensor:
    """Squared error of each pixel (n, size, size), summed over contrasts."""
    return (slices - expected).square().sum(dim=1)


def means_inside(maps: Tensor, within: Tensor) -> Tensor:
    """Means over the pixels inside (n,), of maps (n, size, size)."""
    counts = within.flatten(1).sum(dim=1).clamp_min(1)
    return (maps * within).flatten(1).sum(dim=1) / counts


def vectors(features: Tensor, within: Tensor) -> Tensor:
    """Feature vectors (pixels inside, d) of maps (n, d, size, size)."""
    return features.permute(0, 2, 3, 1)[within]


def spread(values: Tensor, within: Tensor) -> Tensor:
    """Values of the pixels inside as maps (n, size, size), 0 elsewhere."""
    return values.new_zeros(within.shape).masked_scatter(within, values)


def marginal(mixture: Mixture, chosen: slice) -> Mixture:
    """The mixture of some of the features alone."""
    return Mixture(
        mixture.weights,
        mixture.means[:, chosen],
        mixture.covariances[:, chosen, chosen],
    )
