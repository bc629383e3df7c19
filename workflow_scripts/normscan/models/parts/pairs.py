"""Feature vectors drawn from images, and what they should be to each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def draw_places(positive: Tensor, allowed: Tensor, count: int, share: float) -> Tensor:
    """Places drawn at random, some of them from ``positive`` ones.

    Random numbers come from torch's global generator.

    Parameters
    ----------
    positive, allowed : boolean, equal shapes; none is drawn that is not allowed.
    count : places to draw; fewer come out where there are fewer.
    share : of them that are positive.

    Returns
    -------
    places : in the flattened arrays, positive ones first, no place twice.
    """
    wanted = round(count * share)
    groups = ((positive & allowed, wanted), (~positive & allowed, count - wanted))
    return torch.cat([_draw(mask, number) for mask, number in groups])


def _draw(mask: Tensor, count: int) -> Tensor:
    places = mask.flatten().nonzero().squeeze(1)
    return places[torch.randperm(len(places), device=places.device)[:count]]


def embedding_loss(features: Tensor, adjacent: Tensor, margin: float) -> Tensor:
    """Mean over pairs of what sets adjacent ones apart and others together.

    Source: Weston et al. 2008, "Deep learning via semi-supervised embedding": d^2 of adjacent
    pairs, max(0, margin - d)^2 of others; d is the cosine distance here.

    Parameters
    ----------
    features : (n, features), n above 1.
    adjacent : boolean, symmetric (n, n); pairs of a vector with itself do not count.
    margin : in 0..2, from which on others are apart enough.
    """
    unit = functional.normalize(features, dim=1)
    distance = 1 - unit @ unit.T
    terms = torch.where(adjacent, distance.square(), (margin - distance).clamp_min(0).square())
    count = len(features)
    return (terms.sum() - terms.diagonal().sum()) / (count * (count - 1))
