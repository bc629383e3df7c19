"""Bundles: a trained model as weights (safetensors) and a description (JSON); no pickle."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from normscan.errors import BundleError, NormscanError
from normscan.files import atomic_path, file_digest, read_json, write_json
from normscan.models import registry
from normscan.slices.pack import differences

PACKAGES = ("torch", "numpy", "safetensors")


def save_bundle(
    weights: Path,
    description: Path,
    model,
    *,
    family: str,
    settings: dict[str, Any],
    contrasts: list[str],
    size: int,
    fingerprint: dict[str, Any],
    scans: dict[str, list[str]],
    seed: int,
    history: list[dict[str, Any]],
) -> None:
    """Write a trained model.

    Parameters
    ----------
    weights, description : ``.safetensors`` and ``.json``.
    fingerprint : of the slices it was trained on; other scans are refused later.
    scans : split -> ``cohort/scan`` names.
    history : one row per epoch.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(weights) as temporary:
        save_file(state, temporary)
    parameters = sum(value.numel() for value in state.values() if value.is_floating_point())
    write_json(
        description,
        {
            "family": family,
            "settings": settings,
            "contrasts": contrasts,
            "size": size,
            "fingerprint": fingerprint,
            "scans": scans,
            "seed": seed,
            "epochs": len(history),
            "best": [row for row in history if row.get("best")][-1:],
            "parameters": parameters,
            "capabilities": registry.describe(family)["capabilities"],
            "versions": {name: version(name) for name in PACKAGES},
            "weights": file_digest(weights),
        },
    )


def load_bundle(weights: Path, description: Path, device: torch.device):
    """Read a trained model: (model in evaluation mode on the device, its description).

    Raises
    ------
    BundleError : missing or damaged files, or weights of another architecture.
    """
    try:
        content = read_json(description)
        found = file_digest(weights)
    except (NormscanError, OSError) as error:
        raise BundleError(f"{description}: the bundle is not whole: {error}") from None
    if found != content["weights"]:
        raise BundleError(f"{weights}: is not the file that {description} describes; train again")
    model = registry.load(content["family"]).build(
        contrasts=len(content["contrasts"]), size=content["size"], **content["settings"]
    )
    try:
        model.load_state_dict(load_file(weights))
    except (RuntimeError, SafetensorError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(
            f"{weights}: does not fit family '{content['family']}': {reason}"
        ) from None
    if isinstance(model, torch.nn.Module):
        model = model.to(device, memory_format=torch.channels_last).eval()
    return model, content


def check_fit(bundle: dict[str, Any], fingerprint: dict[str, Any]) -> None:
    """BundleError when slices were made differently from those a model was trained on."""
    lines = differences(bundle["fingerprint"], fingerprint)
    if lines:
        listed = "\n".join(f"  - {line}" for line in lines)
        raise BundleError(
            "the model was trained on scans that were preprocessed differently; preprocess these "
            f"scans with the model's protocol:\n{listed}"
        )
