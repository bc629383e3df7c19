"""Restoration: slices in batches without parameter gradients against the plain loop.

The plain loop restores slice by slice, lets autograd compute the parameters' gradients too, and has
neither folded batch norms nor channels_last nor a tuned allocator. Both make equally many steps.
"""

from __future__ import annotations

import numpy as np
import torch
from common import convolution_peak, default_allocator, flops, options, paired, setup, table

from normscan.detectors.inference import BATCH_SIZES, for_inference
from normscan.detectors.restoration import descend, objective
from normscan.models import vae
from normscan.networks.devices import channels_last

TV_WEIGHT = 1.8
STEP_SIZE = 1e-3


def plain(
    model: torch.nn.Module, slices: torch.Tensor, steps: int, tv_weight: float
) -> torch.Tensor:
    """Each slice on its own, all gradients."""
    restored = []
    for own in slices.split(1):
        image = own.clone().requires_grad_()
        for _ in range(steps):
            model.zero_grad(set_to_none=True)
            image.grad = None
            objective(model, image, own, tv_weight).sum().backward()
            with torch.no_grad():
                image -= STEP_SIZE * image.grad
        restored.append(image.detach())
    return torch.cat(restored)


def one_gradient(model: torch.nn.Module, images: torch.Tensor) -> None:
    """As in the restoration, in a form that the FLOP counter can follow."""
    model.elbo_loss(images.clone().requires_grad_()).sum().backward()


def main() -> None:
    arguments = options(__doc__.splitlines()[0], slices=32, steps=5, size=128)
    device = setup(arguments)
    model = vae.build(1, arguments.size).to(device).eval()
    values = np.random.default_rng(0).random((arguments.slices, 1, arguments.size, arguments.size))
    slices = torch.from_numpy(values.astype(np.float32)).to(device)
    fast_model = for_inference(model, device)
    batch = min(BATCH_SIZES[device.type], arguments.slices)

    def naive(tv_weight: float = TV_WEIGHT) -> torch.Tensor:
        with default_allocator():
            return plain(model, slices, arguments.steps, tv_weight)

    def ours(tv_weight: float = TV_WEIGHT) -> torch.Tensor:
        parts = [
            descend(
                fast_model,
                channels_last(part),
                tv_weight=tv_weight,
                steps=arguments.steps,
                step_size=STEP_SIZE,
            )
            for part in slices.split(batch)
        ]
        return torch.cat(parts)

    # Without the TV, whose sub-gradient jitters with rounding.
    expected, found = naive(0), ours(0)
    difference = float((found - expected).abs().sum() / (expected - slices).abs().sum())
    runs = {"plain loop": naive, "ours": ours}
    seconds = paired(runs, arguments.repeats, device, clock=arguments.clock, settle=True)
    work = flops(lambda: one_gradient(fast_model, slices[:1]))
    peak = convolution_peak(device, clock=arguments.clock)
    iterations = arguments.slices * arguments.steps
    rows = [
        {
            "variant": name,
            "slice-iterations/s": iterations / time,
            "ratio": seconds["plain loop"] / time,
            "share of convolution peak": work * iterations / time / peak,
            "130 slices, 500 steps (s)": 130 * 500 * time / iterations,
        }
        for name, time in seconds.items()
    ]
    table(f"Restoration, {arguments.slices} slices, {arguments.steps} steps, fp32", rows)
    print(f"  difference of the two without TV, as a share of the change: {difference:.2%}")
    print(f"  convolution peak: {peak / 1e9:.0f} GFLOP/s; {work / 1e9:.2f} GFLOP per iteration")


if __name__ == "__main__":
    main()
