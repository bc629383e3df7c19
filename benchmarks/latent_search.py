"""Latent search: a scan's slices together against one slice at a time, equally many steps.

Two loops go slice by slice. ``published``: as AnoGAN is usually written, all parameters of
generator and discriminator get gradients, the query's features are computed anew in every step,
torch's Adam moves the code. ``frozen``: no parameter gradients, the query's features once. Neither
has folded batch norms, channels_last or a tuned allocator. Start codes are those of ours. With
several threads take wall time: one that waits for another, in the loops above all, burns CPU time.
"""

from __future__ import annotations

import numpy as np
import torch
from common import default_allocator, flops, options, paired_with_peak, setup, table

from normscan.detectors.inference import for_inference
from normscan.detectors.latent_search import PUBLISHED_WEIGHT
from normscan.detectors.montecarlo import slice_seed
from normscan.detectors.registry import prepare
from normscan.models import registry
from normscan.slices.batch import Batch

RATE = 0.01


def one_by_one(
    model: torch.nn.Module, slices: torch.Tensor, steps: int, frozen: bool
) -> torch.Tensor:
    """Each slice on its own, with torch's Adam; the nearest generated slices."""
    model.requires_grad_(not frozen)
    nearest = []
    for number, own in enumerate(slices.split(1)):
        random = torch.Generator().manual_seed(slice_seed(0, number))
        code = model.draw_codes(1, random).to(own.device).requires_grad_()
        adam = torch.optim.Adam([code], lr=RATE)
        seen = model.discriminator_features(own).detach() if frozen else None
        for _ in range(steps):
            model.zero_grad(set_to_none=True)
            adam.zero_grad(set_to_none=True)
            found = model.generate(code)
            query = model.discriminator_features(own) if seen is None else seen
            feature = (query - model.discriminator_features(found)).abs().sum()
            residual = (own - found).abs().sum()
            loss = (1 - PUBLISHED_WEIGHT) * residual + PUBLISHED_WEIGHT * feature
            loss.backward()
            adam.step()
        with torch.no_grad():
            nearest.append(model.generate(code))
    return torch.cat(nearest)


def one_gradient(model: torch.nn.Module, code: torch.Tensor) -> None:
    """As in the search, in a form that the FLOP counter can follow."""
    generated = model.generate(code.clone().requires_grad_())
    (generated.sum() + model.discriminator_features(generated).sum()).backward()


def measure(size: int, arguments, device: torch.device) -> None:
    """All variants on slices of one size."""
    settings = {"network": arguments.network, "latent": 128}
    model = registry.build(arguments.family, (1, 1, size), **settings).to(device).eval()
    shape = (arguments.slices, 1, size, size)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    # The loops take as long for every slice: a few of them say it.
    few = torch.from_numpy(values[: arguments.plain]).to(device)

    def loop(frozen: bool) -> np.ndarray:
        with default_allocator():
            return one_by_one(model, few, arguments.steps, frozen).cpu().numpy()

    def ours() -> np.ndarray:
        given = {"steps": arguments.steps, "learning_rate": RATE}
        ready = prepare("latent_search", model, device=device, contrasts=["FLAIR"], **given)
        return ready.detect(Batch.of(values), 0).reconstruction

    runs = {"published": lambda: loop(False), "frozen": lambda: loop(True), "ours": ours}
    expected, found = loop(False), ours()[: len(few)]
    difference = np.abs(found - expected).mean() / np.abs(expected).mean()
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    code = model.draw_codes(1, torch.Generator()).to(device)
    work = flops(lambda: one_gradient(for_inference(model, device), code))
    counts = {name: len(values) if name == "ours" else len(few) for name in runs}
    rates = {name: counts[name] * arguments.steps / time for name, time in seconds.items()}
    rows = [
        {
            "variant": name,
            "slices": counts[name],
            "slice-iterations/s": rate,
            "ratio": rate / rates["published"],
            "ratio to frozen": rate / rates["frozen"],
            "share of convolution peak": work * rate / peak,
            "130 slices, 500 steps (s)": 130 * 500 / rate,
        }
        for name, rate in rates.items()
    ]
    title = f"Latent search, {arguments.family} on {arguments.network}, {size} px"
    table(f"{title}, {arguments.steps} steps, fp32, {arguments.clock} time", rows)
    print(f"  mean difference of the nearest slices: {difference:.2%}")
    print(f"  convolution peak: {peak / 1e9:.0f} GFLOP/s; {work / 1e9:.2f} GFLOP per iteration")


def main() -> None:
    defaults = {"slices": 64, "plain": 4, "steps": 20, "sizes": "64,128"}
    arguments = options(__doc__.splitlines()[0], family="anogan", network="unified", **defaults)
    device = setup(arguments)
    for size in map(int, arguments.sizes.split(",")):
        measure(size, arguments, device)


if __name__ == "__main__":
    main()
