"""Features against plain loops: nearest entries of a bank, structural similarity, maps of a volume.

The plain search goes feature by feature; scikit-learn's is its brute force. The plain similarity is
scikit-image's, slice by slice and scale by scale; its windows end at 3.5 deviations, not after 11
pixels, so that the maps differ a little. Shares of the peak are of convolutions and matrix
products.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from common import flops, options, paired, paired_with_peak, setup, table
from skimage.metrics import structural_similarity
from sklearn.neighbors import NearestNeighbors

from normscan.detectors.inference import for_inference
from normscan.detectors.ssim_residual import SETTINGS, structural_dissimilarity
from normscan.models import registry
from normscan.models.parts.bank import nearest_distance

SIGMAS = SETTINGS["sigmas"]


def search_one_by_one(vectors: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Distance of each vector to the nearest entry."""
    return torch.stack([(bank - vector).norm(dim=1).min() for vector in vectors])


def similarity_one_by_one(slices: np.ndarray, others: np.ndarray) -> np.ndarray:
    """1 - SSIM of each pair of slices (n, h, w), scales weighted by exp(-SSIM)."""
    maps = []
    for one, other in zip(slices, others):
        scales = [
            structural_similarity(
                one,
                other,
                gaussian_weights=True,
                sigma=sigma,
                use_sample_covariance=False,
                data_range=1.0,
                full=True,
            )[1]
            for sigma in SIGMAS
        ]
        maps.append(1 - np.average(scales, axis=0, weights=np.exp(-np.stack(scales))))
    return np.stack(maps)


def search(arguments, device: torch.device) -> None:
    """Nearest entries."""
    torch.manual_seed(0)
    vectors = torch.randn(arguments.vectors, arguments.length, device=device)
    bank = torch.randn(arguments.entries, arguments.length, device=device)
    fitted = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(bank.cpu().numpy())
    runs = {
        "one by one": lambda: search_one_by_one(vectors, bank),
        "scikit-learn": lambda: torch.from_numpy(fitted.kneighbors(vectors.cpu().numpy())[0][:, 0]),
        "nearest_distance": lambda: nearest_distance(vectors, bank),
        "nearest_distance, 5 neighbours": lambda: nearest_distance(vectors, bank, 5),
    }
    expected = runs["one by one"]()
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    work = 2 * vectors.numel() * len(bank)
    rows = [
        {
            "search": name,
            "ms": 1e3 * took,
            "ratio": seconds["one by one"] / took,
            "share of the peak": work / took / peak,
            "off by": float((runs[name]().cpu() - expected.cpu()).abs().max()),
        }
        for name, took in seconds.items()
    ]
    title = f"{arguments.vectors} vectors of {arguments.length}, {arguments.entries} entries"
    table(f"{title} (5 neighbours: another value)", rows)


def similarity(arguments, device: torch.device) -> None:
    """Structural similarity over all scales."""
    random = np.random.default_rng(0)
    shape = (arguments.slices, arguments.size, arguments.size)
    one, other = (random.random(shape, dtype=np.float32) for _ in range(2))
    pair = [torch.from_numpy(images[:, None]).to(device) for images in (one, other)]
    runs = {
        "slice by slice": lambda: similarity_one_by_one(one, other),
        "structural_dissimilarity": lambda: structural_dissimilarity(*pair, SIGMAS),
    }
    plain, found = (run() for run in runs.values())
    seconds = paired(runs, arguments.repeats, device, clock=arguments.clock)
    rows = [
        {
            "similarity": name,
            "ms a slice": 1e3 * took / len(one),
            "ratio": seconds["slice by slice"] / took,
            "off by": float(np.abs(found[:, 0].cpu().numpy() - plain).max()),
        }
        for name, took in seconds.items()
    ]
    table(f"SSIM at {len(SIGMAS)} scales, {arguments.size} px", rows)


def volumes(arguments, device: torch.device) -> None:
    """Maps of a volume by each of the approaches."""
    shape = (1, 1, arguments.size)
    torch.manual_seed(0)
    slices = torch.rand(arguments.slices, 1, arguments.size, arguments.size, device=device)
    features = registry.build("feature_ae", shape)
    bank = registry.build("feature_bank", shape, uses={"features": features})
    bank.bank = torch.rand(arguments.entries, features.layers.channels)
    features, bank, ae = (
        for_inference(one, device) for one in (features, bank, registry.build("ae", shape))
    )

    def by_structure() -> torch.Tensor:
        return structural_dissimilarity(slices, ae.reconstruct(slices), SIGMAS)

    runs = {
        "ae, reconstruction": partial(ae.reconstruct, slices),
        "ae, ssim_residual": by_structure,
        "feature_ae": partial(features.energy, slices),
        "feature_bank on feature_ae": partial(bank.energy, slices),
    }
    with torch.inference_mode():
        work = {name: flops(run) for name, run in runs.items()}
        seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    rows = [
        {
            "approach": name,
            "seconds per volume": took * arguments.volume / arguments.slices,
            "GFLOP a slice": work[name] / arguments.slices / 1e9,
            "share of the peak": work[name] / took / peak,
        }
        for name, took in seconds.items()
    ]
    table(f"{arguments.volume} slices of {arguments.size} px", rows)


def main() -> None:
    arguments = options(
        __doc__.splitlines()[0],
        vectors=4096,
        length=256,
        entries=2000,
        size=128,
        slices=8,
        volume=74,
    )
    device = setup(arguments)
    search(arguments, device)
    similarity(arguments, device)
    volumes(arguments, device)


if __name__ == "__main__":
    main()
