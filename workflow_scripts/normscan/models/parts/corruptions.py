"""Made anomalies: corruptions of healthy slices, of a whole batch at once.

Sources: foreign patch interpolation (FPI), Tan et al. 2022, section 3; Poisson image interpolation
(PII), Tan et al. 2021, section 2; natural synthetic anomalies (NSA), Schlueter et al. 2022, section
3; shape, texture and intensity drawn each for itself (DAG), Naval Marimont et al. 2024. Ranges that
the papers leave open, or give for other images, are assumed, see the pages of the families.

What is foreign comes from other slices of the batch. Pixels where the slice or what is foreign is
background stay as they are, so that brains keep their outline and get no holes. Intensities are in
the units of the slices; ``size`` of an intensity means against the root mean square of the slice's
own foreground.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from normscan.models.parts.draws import Draws
from normscan.models.parts.fields import blurred, smooth_fields
from normscan.models.parts.poisson import interpolated, pasted
from normscan.models.parts.shapes import Boxes, random_boxes, random_shapes
from normscan.networks.foreground import inside

P = ParamSpec("P")
R = TypeVar("R")
# Sides of patches, per side of the slice (FPI, PII), and interpolation factors.
PATCH = (0.1, 0.4)
FACTORS = (0.05, 0.95)
# NSA: at most so many patches; sides are the least one plus a Gamma variable of shape 2.
PATCHES = 3
LEAST_SIDE, SIDE_SCALE, MOST_SIDE = 0.05, 0.05, 0.4
ZOOM = (0.7, 1.3)
# How far foreign slices are moved, per side, to either side.
SHIFT = 0.1
# DAG: softness of a shape's edge in pixels; share of the intensity bias that varies in space, and
# how smoothly, per side.
EDGE = (0.0, 1.5)
VARIATION = 0.25
WAVES = (0.05, 0.2)
# Labels by intensity: a change of this size has the label one half; how fast labels rise with it.
HALF, STEEPNESS = 0.1, 30.0
# Smaller changes are none.
VISIBLE = 0.01


class Corrupted(NamedTuple):
    """Corrupted slices (n, c, side, side), and how abnormal each pixel is (n, side, side), 0..1."""

    slices: Tensor
    labels: Tensor


def exact(compute: Callable[P, R]) -> Callable[P, R]:
    """A function of slices (its first argument) in single precision and without gradients."""

    @wraps(compute)
    def computed(*arguments: P.args, **named: P.kwargs) -> R:
        slices: Any = arguments[0]
        with torch.no_grad(), torch.autocast(slices.device.type, enabled=False):
            return compute(*arguments, **named)

    return computed


def foreign_patches(slices: Tensor, draws: Draws) -> Corrupted:
    """FPI: a rectangle mixed with that of another slice at the same place; labels are factors."""
    source, both = foreign(slices, draws, shift=0, zoom=(1, 1))
    boxes, factor = _fpi_boxes(slices, draws)
    weight = factor * (boxes.masks(slices.shape[-1]) & both)[:, None]
    return _with_factors(slices, slices + weight * (source - slices), factor)


def poisson_interpolation(slices: Tensor, draws: Draws) -> Corrupted:
    """PII: as FPI, but gradients are mixed, so that no edge of the rectangle is seen."""
    source, both = foreign(slices, draws, shift=0, zoom=(1, 1))
    boxes, factor = _fpi_boxes(slices, draws)
    made = _in_foreground(slices, interpolated(slices, source, boxes, both, factor))
    return _with_factors(slices, made, factor)


def natural_anomalies(slices: Tensor, draws: Draws) -> Corrupted:
    """NSA: patches of other slices, scaled and moved, pasted seamlessly; labels by intensity.

    The first patch is in every slice, each further one in half of them.
    """
    side, made = slices.shape[-1], slices
    for number in range(PATCHES):
        source, both = foreign(slices, draws, shift=SHIFT, zoom=ZOOM)
        gamma = -draws.uniform(0, 1, 2, 2, len(slices)).clamp_min(1e-6).log().sum(dim=0)
        sides = (LEAST_SIDE + SIDE_SCALE * gamma).clamp_max(MOST_SIDE) * side
        boxes = random_boxes(inside(slices), sides, draws)
        chance = draws.uniform(0, 1, len(slices), 1, 1, 1)
        new = _in_foreground(slices, pasted(made, source, boxes, both))
        made = torch.where((chance < 0.5) | (number == 0), new, made)
    return Corrupted(made, intensity_labels(slices, made))


def shaped_anomalies(slices: Tensor, draws: Draws, strength: float = 1.0) -> Corrupted:
    """DAG: a random shape with foreign texture, another intensity, or both; labels by intensity.

    Parameters
    ----------
    strength : largest size of the intensity bias.
    """
    made = shaped(slices, draws, strength)
    return Corrupted(made, intensity_labels(slices, made))


@exact
def shaped(slices: Tensor, draws: Draws, strength: float = 1.0) -> Tensor:
    """The slices of :func:`shaped_anomalies`, at the highest degree of corruption."""
    count = len(slices)
    brain = inside(slices)
    source, _ = foreign(slices, draws, shift=SHIFT, zoom=ZOOM)
    kind = draws.whole(0, 3, count, 1, 1, 1)
    filled = torch.where(kind == 1, slices, source)
    biased = filled + (kind != 0) * intensity_bias(slices, draws, strength)
    shapes = random_shapes(brain, draws).float()
    weight = blurred(shapes, draws.uniform(*EDGE, count)).clamp(0, 1) * brain
    # (Rounding of the blur is no shape.)
    weight = torch.where(weight > VISIBLE, weight, 0)[:, None]
    return slices + weight * (biased - slices)


def at_degree(slices: Tensor, corrupted: Tensor, degree: Tensor) -> Tensor:
    """Slices corrupted to a degree (n, 1, 1, 1) from 0, as they are, to 1, ``corrupted``."""
    return slices + degree * (corrupted - slices)


# What ``anomaly`` of a protocol may be; ``mixed`` is any of them.
KINDS: dict[str, Callable[[Tensor, Draws], Corrupted]] = {
    "fpi": foreign_patches,
    "pii": poisson_interpolation,
    "nsa": natural_anomalies,
    "dag": shaped_anomalies,
}
MIXED = "mixed"


@exact
def corrupt(slices: Tensor, kind: str, draws: Draws) -> Corrupted:
    """Slices with anomalies of a kind; of ``mixed`` each slice has one of its own, drawn alike."""
    if kind != MIXED:
        return KINDS[kind](slices, draws)
    every = [one(slices, draws) for one in KINDS.values()]
    chosen = draws.whole(0, len(every), len(slices))
    own = torch.arange(len(slices), device=slices.device)
    return Corrupted(*(torch.stack(parts)[chosen, own] for parts in zip(*every)))


def foreign(
    slices: Tensor, draws: Draws, *, shift: float, zoom: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """For each slice another one of the batch, moved and scaled; a slice alone gets its mirror.

    Parameters
    ----------
    shift : largest move down and right, per side.
    zoom : least and largest factor of the scale.

    Returns
    -------
    source : (n, c, side, side); the slice itself where it or the other one is background.
    both : where neither is (n, side, side).
    """
    count, device = len(slices), slices.device
    if count < 2:
        others = slices.flip(-1)
    else:
        step = draws.whole(1, count, count)
        others = slices[(torch.arange(count, device=device) + step) % count]
    brain = inside(others)[:, None].to(slices.dtype)
    if shift or zoom != (1, 1):
        scale = 1 / draws.uniform(*zoom, count)
        # (Coordinates of a grid run from -1 to 1.)
        move = draws.uniform(-2 * shift, 2 * shift, count, 2)
        none = torch.zeros_like(scale)
        terms = [scale, none, move[:, 0], none, scale, move[:, 1]]
        matrices = torch.stack(terms, dim=1).view(-1, 2, 3)
        grid = functional.affine_grid(matrices, list(slices.shape), align_corners=False)
        others = functional.grid_sample(others, grid, align_corners=False)
        brain = functional.grid_sample(brain, grid, align_corners=False)
    # A pixel that is partly interpolated from background is none of the brain.
    both = (brain[:, 0] > 1 - VISIBLE) & inside(slices)
    return torch.where(both[:, None], others, slices), both


def intensity_bias(slices: Tensor, draws: Draws, strength: float) -> Tensor:
    """Offsets (n, c, side, side) up to ``strength`` in size, of each contrast, varying smoothly."""
    count, contrasts, side = slices.shape[:3]
    offset = draws.uniform(-strength, strength, count, contrasts, 1, 1)
    field = smooth_fields(draws.uniform(*WAVES, count, contrasts) * side, side, draws)
    return typical(slices) * offset * (1 + VARIATION * field)


def typical(slices: Tensor) -> Tensor:
    """Root mean square (n, c, 1, 1) of each slice's foreground; 0 of an empty slice."""
    count = inside(slices).sum(dim=(1, 2)).clamp_min(1)
    return (slices.square().sum(dim=(2, 3), keepdim=True) / count[:, None, None, None]).sqrt()


def intensity_labels(slices: Tensor, made: Tensor) -> Tensor:
    """Labels (n, side, side) that rise with the size of the change, by a logistic function.

    Source: Schlueter et al. 2022, section 3 (their constants are of grey levels up to 255).
    """
    size = change(slices, made)
    return torch.where(size > VISIBLE, torch.sigmoid(STEEPNESS * (size - HALF)), 0)


def change(slices: Tensor, made: Tensor) -> Tensor:
    """Size of the change (n, side, side), the mean over contrasts."""
    # (An empty slice does not change.)
    return ((made - slices).abs() / typical(slices).clamp_min(1e-6)).mean(dim=1)


def _fpi_boxes(slices: Tensor, draws: Draws) -> tuple[Boxes, Tensor]:
    """Rectangles and factors (n, 1, 1, 1) of FPI and PII."""
    sides = draws.uniform(*PATCH, 2, len(slices)) * slices.shape[-1]
    boxes = random_boxes(inside(slices), sides, draws)
    return boxes, draws.uniform(*FACTORS, len(slices), 1, 1, 1)


def _with_factors(slices: Tensor, made: Tensor, factor: Tensor) -> Corrupted:
    """Labels are the factors, wherever a change can be seen."""
    return Corrupted(made, factor[:, 0] * (change(slices, made) > VISIBLE))


def _in_foreground(slices: Tensor, made: Tensor) -> Tensor:
    return torch.where(inside(slices)[:, None], made, slices)
