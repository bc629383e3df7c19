"""Prior of codes: one pass over maps, and to the next surprising code, against place by place."""

from __future__ import annotations

import numpy as np
import torch
from common import options, paired, setup, table

from normscan.models import registry
from normscan.models.code_prior import draw


def scored_in_turn(model: torch.nn.Module, codes: torch.Tensor) -> torch.Tensor:
    """Negative log likelihoods, a pass for every place of the map."""
    found = torch.empty(codes.shape, device=codes.device)
    for row, column in np.ndindex(*codes.shape[1:]):
        found[:, row, column] = model.code_surprise(codes)[:, row, column]
    return found


def drawn_in_turn(
    model: torch.nn.Module, codes: torch.Tensor, threshold: float, uniforms: torch.Tensor
) -> torch.Tensor:
    """Surprising codes drawn anew, a pass for every place of the map, as in the published code."""
    found = codes.clone()
    for row, column in np.ndindex(*codes.shape[1:]):
        logits = model.pixels(found)[:, :, row, column]
        own = found[:, row, column, None]
        surprise = -logits.log_softmax(dim=1).gather(1, own)[:, 0]
        drawn = draw(logits, uniforms[:, row, column])
        found[:, row, column] = torch.where(surprise > threshold, drawn, own[:, 0])
    return found


@torch.inference_mode()
def main() -> None:
    arguments = options(__doc__.splitlines()[0], maps=64, size=128, share=0.02)
    device = setup(arguments)
    shape = (1, 1, arguments.size)
    coder = registry.build("vqvae", shape)
    model = registry.build("code_prior", shape, uses={"coder": coder}).to(device).eval()
    count, *grid = model.code_grid()
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(count, (arguments.maps, *grid), generator=generator).to(device)
    uniforms = torch.rand(codes.shape, generator=generator).to(device)
    # As many codes are surprising as with the detector's usual threshold on healthy slices.
    threshold = float(np.quantile(model.code_surprise(codes).cpu(), 1 - arguments.share))
    limit = torch.full((1, 1, 1), threshold, device=device)
    pairs = {
        "likelihood": (
            lambda: scored_in_turn(model, codes),
            lambda: model.code_surprise(codes),
        ),
        "restoration": (
            lambda: drawn_in_turn(model, codes, threshold, uniforms),
            lambda: model.resample_codes(codes, limit, uniforms),
        ),
    }
    rows = []
    for name, (in_turn, ours) in pairs.items():
        difference = float((in_turn() != ours()).double().mean())
        runs = {"place by place": in_turn, "ours": ours}
        seconds = paired(runs, arguments.repeats, device, clock=arguments.clock)
        rows += [
            {
                "what": name,
                "variant": variant,
                "maps/s": arguments.maps / time,
                "ratio": seconds["place by place"] / time,
                "other codes or bits": difference,
            }
            for variant, time in seconds.items()
        ]
    table(f"{arguments.maps} maps of {grid[0]} x {grid[1]} of {count} codes, fp32", rows)


if __name__ == "__main__":
    main()
