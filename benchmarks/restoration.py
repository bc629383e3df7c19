"""Restoration: slices in batches without parameter gradients against the plain loop.

The plain loop restores slice by slice, lets autograd compute the parameters' gradients too, and has
neither folded batch norms nor channels_last nor a tuned allocator. Both make equally many steps.
"""

from __future__ import annotations

import numpy as np
import torch
from common import default_allocator, flops, options, paired_with_peak, setup, table

from normscan.detectors.inference import for_inference
from normscan.detectors.registry import prepare
from normscan.detectors.restoration import objective
from normscan.models import registry
from normscan.slices.batch import Batch

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
    arguments = options(__doc__.splitlines()[0], slices=64, plain=8, steps=20, size=128)
    device = setup(arguments)
    model = registry.build("vae", (1, 1, arguments.size)).to(device).eval()
    shape = (arguments.slices, 1, arguments.size, arguments.size)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    # The plain loop takes as long for every slice: a few of them say it.
    few = torch.from_numpy(values[: arguments.plain]).to(device)

    def naive(tv_weight: float = TV_WEIGHT) -> np.ndarray:
        with default_allocator():
            return plain(model, few, arguments.steps, tv_weight).cpu().numpy()

    def ours(tv_weight: float = TV_WEIGHT) -> np.ndarray:
        settings = {"steps": arguments.steps, "step_size": STEP_SIZE, "tv_weight": tv_weight}
        ready = prepare("restoration", model, device=device, contrasts=["FLAIR"], **settings)
        return ready.detect(Batch.of(values), 0).reconstruction

    # Without the TV, whose sub-gradient jitters with rounding.
    expected, found = naive(0), ours(0)[: len(few)]
    difference = np.abs(found - expected).sum() / np.abs(expected - values[: len(few)]).sum()
    runs = {"plain loop": naive, "ours": ours}
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    work = flops(lambda: one_gradient(for_inference(model, device), few[:1]))
    counts = {"plain loop": len(few) * arguments.steps, "ours": len(values) * arguments.steps}
    rates = {name: counts[name] / time for name, time in seconds.items()}
    rows = [
        {
            "variant": name,
            "slices": counts[name] // arguments.steps,
            "slice-iterations/s": rate,
            "ratio": rate / rates["plain loop"],
            "share of convolution peak": work * rate / peak,
            "130 slices, 500 steps (s)": 130 * 500 / rate,
        }
        for name, rate in rates.items()
    ]
    table(f"Restoration, {arguments.steps} steps, fp32", rows)
    print(f"  difference of the two without TV, as a share of the change: {difference:.2%}")
    print(f"  convolution peak: {peak / 1e9:.0f} GFLOP/s; {work / 1e9:.2f} GFLOP per iteration")


if __name__ == "__main__":
    main()
