"""Monte Carlo: encoding once, samples of a slice together, against one reconstruction at a time."""

from __future__ import annotations

import numpy as np
import torch
from common import default_allocator, flops, options, paired_with_peak, setup, table

from normscan.detectors.registry import prepare
from normscan.models import registry
from normscan.slices.batch import Batch


def plain(
    model: torch.nn.Module, slices: np.ndarray, samples: int, device: torch.device
) -> np.ndarray:
    """Every sample is a full pass of all slices, and all samples are kept."""
    generator = torch.Generator(device).manual_seed(0)
    residuals = []
    with torch.no_grad():
        for own in torch.from_numpy(slices).to(device).split(1):
            drawn = [
                own - model.decode_sample(model.encode(own), generator) for _ in range(samples)
            ]
            residuals.append(torch.cat(drawn).abs().mean(dim=(0, 1)).cpu())
    return torch.stack(residuals).numpy()


def main() -> None:
    arguments = options(__doc__.splitlines()[0], slices=16, samples=100, size=128)
    device = setup(arguments)
    model = registry.build("vae", (1, 1, arguments.size)).to(device).eval()
    shape = (arguments.slices, 1, arguments.size, arguments.size)
    slices = np.random.default_rng(0).random(shape, dtype=np.float32)

    def naive() -> np.ndarray:
        with default_allocator():
            return plain(model, slices, arguments.samples, device)

    def ours() -> np.ndarray:
        settings = {"contrasts": ["FLAIR"], "samples": arguments.samples}
        ready = prepare("montecarlo", model, device=device, **settings)
        return np.abs(ready.detect(Batch.of(slices), 0).map)

    difference = float(np.abs(naive() - ours()).mean() / naive().mean())
    runs = {"one by one": naive, "ours": ours}
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    code = model.encode(torch.from_numpy(slices[:1]).to(device))
    generator = torch.Generator(device)
    work = flops(lambda: model.decode_sample(code, generator))
    samples = arguments.slices * arguments.samples
    rows = [
        {
            "variant": name,
            "samples/s": samples / time,
            "ratio": seconds["one by one"] / time,
            "share of convolution peak": work * samples / time / peak,
            "130 slices, 100 samples (s)": 130 * 100 * time / samples,
        }
        for name, time in seconds.items()
    ]
    table(f"Monte Carlo, {arguments.slices} slices, {arguments.samples} samples, fp32", rows)
    print(f"  mean difference of the maps, drawn from different numbers: {difference:.1%}")
    print(
        f"  convolution peak: {peak / 1e9:.0f} GFLOP/s; {work / 1e9:.2f} GFLOP per decoded sample"
    )


if __name__ == "__main__":
    main()
