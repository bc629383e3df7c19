"""Mixture of a batch's features, with its gradient: matrix products against outer products.

The outer-product form is DAGMM's as it is usually written, in single precision: differences (n,
components, features) and their outer products (n, components, features, features).
"""

from __future__ import annotations

from functools import partial

import torch
from common import options, paired, setup, table

from normscan.models.parts.density import Mixture, Moments


def outer_product_form(features: torch.Tensor, shares: torch.Tensor) -> Mixture:
    """Weights, means and covariances by outer products, in the precision of the features."""
    sums = shares.sum(dim=0)
    means = (shares.unsqueeze(2) * features.unsqueeze(1)).sum(dim=0) / sums[:, None]
    moved = features.unsqueeze(1) - means
    outer = moved.unsqueeze(3) * moved.unsqueeze(2)
    covariances = (shares[:, :, None, None] * outer).sum(dim=0) / sums[:, None, None]
    return Mixture(sums / len(features), means, covariances)


def moment_form(features: torch.Tensor, shares: torch.Tensor) -> Mixture:
    """Weights, means and covariances as models estimate them."""
    return Moments.of(features, shares).mixture()


def step(form, features: torch.Tensor, logits: torch.Tensor, weights: Mixture) -> list:
    """Gradients of a weighted sum of all that a mixture consists of."""
    mixture = form(features, logits.softmax(dim=1))
    loss = sum((one.double() * weight).sum() for one, weight in zip(mixture, weights))
    return list(torch.autograd.grad(loss, [features, logits]))


def difference(one: list, other: list) -> float:
    """Largest difference of gradients, relative to the largest entry of each."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(one, other))


def main() -> None:
    arguments = options(__doc__.splitlines()[0], pixels=100_000, components=6)
    device = setup(arguments)
    generator = torch.Generator().manual_seed(0)
    count, components = arguments.pixels, arguments.components
    rows = []
    for length in (3, 5, 7):
        features, logits, *weights = (
            torch.randn(*shape, generator=generator).to(device)
            for shape in (
                (count, length),
                (count, components),
                (components,),
                (components, length),
                (components, length, length),
            )
        )
        features.requires_grad_()
        logits.requires_grad_()
        inputs = features, logits, Mixture(*(one.double() for one in weights))
        exact = [one.detach().double().requires_grad_() for one in inputs[:2]]
        reference = step(outer_product_form, *exact, inputs[2])
        forms = {"outer products": outer_product_form, "matrix products": moment_form}
        runs = {name: partial(step, form, *inputs) for name, form in forms.items()}
        seconds = paired(runs, arguments.repeats, device, clock=arguments.clock)
        rows += [
            {
                "features": length,
                "form": name,
                "ms": 1e3 * seconds[name],
                "ratio": seconds["outer products"] / seconds[name],
                "gradients off by": difference(runs[name](), reference),
            }
            for name in runs
        ]
    table(f"{count} pixels, {components} components, forward and backward", rows)


if __name__ == "__main__":
    main()
