"""Made numbers and pictures that look like those of a run."""

from __future__ import annotations

import numpy as np

APPROACHES = {
    "intensity": ("FLAIR intensity", 0.27),
    "ae": ("AE (dense)", 0.20),
    "vae": ("VAE", 0.31),
    "vae_restoration": ("VAE (restoration)", 0.41),
    "vae_montecarlo": ("Bayesian VAE", 0.32),
}


def record(title: str, model: str, look: str, detector: str = "residual", line: str = "solid"):
    """What figures know of an approach; without a model it is free of training."""
    return {
        "title": title, "name": title, "model": model, "look": look, "detector": detector,
        "line": line, "training_free": not model,
    }  # fmt: skip


RECORDS = [
    record("FLAIR intensity", "", "baseline", "intensity"),
    record("AE (dense)", "ae", "autoencoder"),
    record("VAE", "vae", "variational"),
    record("VAE (restoration)", "vae", "variational", "restoration", "dashed"),
    record("Bayesian VAE", "vae", "variational", "montecarlo", "dotted"),
]


def brain_slice(seed: int = 0, size: int = 64, height: float = 1.0):
    """(image, brain, lesions) of one made FLAIR slice, (x, y)."""
    generator = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    radius = np.hypot(x / (0.68 * height), y / (0.86 * height))
    brain = radius < 1
    folds = 0.06 * np.sin(9 * np.arctan2(y, x) + 2 * seed) * np.sin(14 * radius)
    image = np.where(radius > 0.8, 0.66, 0.5) + folds + generator.normal(0, 0.02, x.shape)
    for side in (-1, 1):
        image[np.hypot((x - side * 0.13) / 0.09, (y + 0.02) / 0.3) < 1] = 0.15
    lesions = np.zeros(x.shape, bool)
    for _ in range(3):
        centre = generator.uniform(-0.35, 0.35, 2)
        lesions |= np.hypot(x - centre[0], y - centre[1]) < generator.uniform(0.04, 0.09)
    image[lesions] += 0.3
    return np.where(brain, image, 0.0), brain, lesions & brain


def slice_row(label: str, seed: int = 0, truth: bool = True) -> dict:
    """A row of ``slice_rows``."""
    image, brain, lesions = brain_slice(seed)
    generator = np.random.default_rng(seed + 100)
    noise = generator.normal(0, 0.03, image.shape)
    expected = np.where(brain, image - 0.28 * lesions + noise, 0)
    score = np.clip(image - expected, 0, None) * brain
    row = {"label": label, "image": image, "reconstruction": expected, "map": score}
    row["detection"] = score > 0.12
    row["detection"][30:34, 50:53] = True
    return {**row, "truth": lesions} if truth else row


def volume(size: int = 40) -> np.ndarray:
    """(x, y, z) made brain."""
    axes = np.meshgrid(*[np.linspace(-1, 1, size)] * 3, indexing="ij")
    radius = np.sqrt((axes[0] / 0.7) ** 2 + (axes[1] / 0.85) ** 2 + (axes[2] / 0.65) ** 2)
    image = np.where(radius > 0.8, 0.7, 0.5) + 0.05 * np.sin(20 * axes[0]) * np.cos(17 * axes[1])
    image[np.hypot(axes[0] / 0.2, axes[1] / 0.3) + np.abs(axes[2]) < 0.8] = 0.2
    return np.where(radius < 1, image, 0)


def curves(kind: str) -> dict:
    """approach title -> (x, y, area) of a ``pr`` or ``roc`` curve."""
    made = {}
    steps = np.linspace(0, 1, 200)
    for title, area in APPROACHES.values():
        if kind == "pr":
            made[title] = (steps, np.clip((1 - steps**2) * area * 1.9, 0.01, 1), area)
        else:
            power = 0.35 - 0.5 * area
            made[title] = (steps, steps**power, 1 / (1 + power))
    return made


def dice(rules=("best_dice", "healthy_percentile_98", "healthy_fpr_0.01", "oracle")) -> dict:
    """rule -> approach title -> Dice of 12 patients."""
    generator = np.random.default_rng(4)
    return {
        rule: {
            title: generator.beta(8 * area + 0.5 * (rule == "oracle"), 8 * (1 - area), 12)
            for title, area in APPROACHES.values()
        }
        for rule in rules
    }


def histograms() -> dict:
    """approach title -> (edges, normal counts, anomalous counts)."""
    edges = np.linspace(0, 1, 513)
    middle = (edges[1:] + edges[:-1]) / 2
    return {
        title: (
            edges,
            np.floor(1e6 * np.exp(-middle / 0.03)),
            np.floor(1e4 * np.exp(-((middle - area) ** 2) / 0.02)),
        )
        for title, area in APPROACHES.values()
    }
