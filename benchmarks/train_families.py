"""Training steps of several families: the share of the convolution peak that each one reaches.

By default the unified VAE, the Skip-AE, a U-Net (a ``translation``, of 32 and of 16 channels at
full size), the self-taught U-Net, the denoising AE (as published, and with each of its noises at 16
channels), SteGANomaly's CycleGAN (of 16 channels at full size, since of 64 a step takes minutes),
IntroVAE, the ADM network's prediction of each of four contrasts from the others, and the families
that learn from corruptions, which are made in each step. All as the training jobs have it: channels
last, tuned allocator.
``--precision bfloat16`` computes in half precision; the peak stays that of float32.
"""

from __future__ import annotations

import torch
from common import flops, options, paired_with_peak, setup, table
from steps import prepared, training_step

FAMILIES = {
    "vae": ("vae", {}),
    "skip_ae": ("skip_ae", {}),
    "unet, width 32": ("translation", {"width": 32}),
    "unet, width 16": ("translation", {"width": 16}),
    "self-taught unet": ("self_taught", {}),
    "denoising": ("denoising_ae", {}),
    "denoising, width 16": ("denoising_ae", {"width": 16}),
    "denoising, blobs, width 16": ("denoising_ae", {"noise": "blobs", "width": 16}),
    "cyclegan, width 16": ("steganomaly", {"width": 16}),
    "adm, four contrasts": ("adm", {"contrasts": 4}),
    "adm, four contrasts, width 16": ("adm", {"contrasts": 4, "width": 16}),
    "introvae": ("introvae", {}),
    "ddpm": ("ddpm", {}),
    "ddpm, width 32": ("ddpm", {"width": 32}),
    "synthetic segmentation": ("synthetic_segmentation", {}),
    "synthetic restoration": ("synthetic_restoration", {}),
}


def main() -> None:
    arguments = options(__doc__, size=128, batch=16, only="", precision="float32")
    device = setup(arguments)
    chosen = arguments.only.split("; ") if arguments.only else list(FAMILIES)
    runs, work = {}, {}
    for name in chosen:
        family, settings = FAMILIES[name]
        parts = prepared(
            arguments.size, arguments.batch, device, torch.channels_last, family, **settings
        )
        work[name] = flops(lambda p=parts: training_step(*p))
        runs[name] = lambda p=parts: training_step(*p, arguments.precision)
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    print(f"convolution peak {peak / 1e9:.0f} GFLOP/s (channels last, float32)")
    rows = [
        {
            "family": name,
            "GFLOP a slice": work[name] / arguments.batch / 1e9,
            f"slices/s ({arguments.clock})": arguments.batch / seconds[name],
            "share of peak": work[name] / seconds[name] / peak,
        }
        for name in chosen
    ]
    table(f"training, {arguments.size}x{arguments.size}, batch {arguments.batch}", rows)


if __name__ == "__main__":
    main()
