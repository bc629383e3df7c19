"""Distances of patch embeddings: every patch at once against patch by patch, equal results.

The loops embed the patches around all pixels inside of the mask, ``batch`` at once, and around no
others. ``patch loop``: the model as it was trained, as one would write it first. ``folded``: with
the network that ours runs, batch norms folded, channels_last. Loops take as long for every patch:
``patches`` of them, spread over the mask, say it. Ours makes whole maps of ``slices`` slices.
"""

from __future__ import annotations

import torch
from common import default_allocator, flops, options, paired_with_peak, setup, table
from torch.nn import functional

from normscan.detectors.embedding_distance import patch_distances
from normscan.detectors.inference import for_inference
from normscan.models import registry


def made_slices(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy round heads (n, 1, size, size), smoother versions of them, and their masks."""
    random = torch.Generator().manual_seed(0)
    line = torch.linspace(-1, 1, size)
    inside = (line[:, None] ** 2 + line**2 < 0.72).expand(count, -1, -1)
    slices = torch.rand(count, 1, size, size, generator=random) * inside[:, None]
    return slices, functional.avg_pool2d(slices, 5, 1, 2) * inside[:, None], inside


def patch_by_patch(
    model: torch.nn.Module,
    slices: torch.Tensor,
    expected: torch.Tensor,
    places: torch.Tensor,
    batch: int,
) -> torch.Tensor:
    """Scores of the pixels at ``places`` (m, 3: slice, row, column)."""
    side = model.patch_side()
    before, after = side // 2, side // 2 - 1
    found = []
    padded = [
        functional.pad(one, (before, after, before, after), mode="reflect")
        for one in (slices, expected)
    ]
    patches = [one.unfold(2, side, 1).unfold(3, side, 1) for one in padded]
    for part in places.split(batch):
        number, row, column = part.unbind(1)
        own, other = (
            model.embed_patches(one[number, :, row, column]).flatten(1) for one in patches
        )
        found.append((own - other).norm(dim=1))
    return torch.cat(found)


@torch.inference_mode()
def main() -> None:
    defaults = {"slices": 1, "size": 256, "patches": 512, "batch": 128, "strides": "1,2,4"}
    arguments = options(__doc__.splitlines()[0], **defaults)
    device = setup(arguments)
    parts = made_slices(arguments.slices, arguments.size)
    slices, expected, inside = (one.to(device) for one in parts)
    model = registry.build("patch_embedding", (1, 1, arguments.size)).to(device).eval()
    ready = for_inference(model, device)
    places = inside.nonzero()
    few = places[:: max(len(places) // arguments.patches, 1)][: arguments.patches]

    def loop(own: torch.nn.Module) -> torch.Tensor:
        return patch_by_patch(own, slices, expected, few, arguments.batch)

    def plain() -> torch.Tensor:
        with default_allocator():
            return loop(model)

    runs = {"patch loop": plain, "patch loop, folded": lambda: loop(ready)}
    counts = dict.fromkeys(runs, len(few))
    for stride in map(int, arguments.strides.split(",")):
        name = f"ours, stride {stride}"
        counts[name] = len(places)
        runs[name] = lambda stride=stride: patch_distances(ready, slices, expected, inside, stride)
    maps = patch_distances(ready, slices, expected, inside)
    reference = plain()
    difference = (maps[few.unbind(1)] - reference).abs().max() / reference.abs().max()
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    rates = {name: counts[name] / time for name, time in seconds.items()}
    rows = [
        {
            "variant": name,
            "pixels/s": rate,
            "ratio": rate / rates["patch loop"],
            "ratio to folded": rate / rates["patch loop, folded"],
            "s a slice": len(places) / arguments.slices / rate,
            "share of convolution peak": flops(runs[name]) / seconds[name] / peak,
        }
        for name, rate in rates.items()
    ]
    share = len(places) / inside.numel()
    title = f"Maps of {arguments.size} x {arguments.size}, {share:.0%} inside of the mask"
    table(f"{title}, patches of {ready.patch_side()}, fp32, {arguments.clock} time", rows)
    print(f"  largest difference between ours and the patch loop: {float(difference):.1e}")
    print(f"  convolution peak: {peak / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
