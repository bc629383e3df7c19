"""Bundles: a trained model as weights (safetensors) and a description (JSON); never pickled."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from normscan import __version__
from normscan.errors import BundleError, ConfigError, NormscanError
from normscan.files import atomic_path, file_digest, read_json, write_json
from normscan.models import registry
from normscan.models.base import Estimator, NeuralModel
from normscan.slices.index import differences
from normscan.training.curve import best_epochs

# 2: the scans of the training with digests of their content.
FORMAT = 2
KEYS = (
    "format", "family", "settings", "contrasts", "size", "fingerprint", "scans", "seed", "weights"
)  # fmt: skip


def save_bundle(
    weights: Path,
    description: Path,
    model: NeuralModel | Estimator,
    *,
    family: str,
    settings: dict[str, Any],
    contrasts: Sequence[str],
    size: int,
    fingerprint: dict[str, Any],
    scans: Mapping[str, Mapping[str, Mapping[str, str]]],
    seed: int,
    history: list[dict[str, Any]],
) -> None:
    """Write a trained model; equal trainings give equal bytes.

    Parameters
    ----------
    weights, description : ``weights.safetensors`` and ``bundle.json``.
    settings : all settings of the family, so that a later change of defaults changes nothing.
    contrasts, size, fingerprint : of the slices it was trained on.
    scans : split -> ``cohort/scan`` it was trained or validated on -> contrast -> digest of its
        voxels.
    history : as returned by :func:`normscan.training.loop.train`.
    """
    tensors = {name: _plain(tensor) for name, tensor in _state(model).items()}
    with atomic_path(weights) as temporary:
        save_file(tensors, temporary)
    write_json(
        description,
        {
            "format": FORMAT,
            "family": family,
            "capabilities": sorted(registry.capabilities(family, settings)),
            "settings": settings,
            "contrasts": list(contrasts),
            "size": size,
            "fingerprint": fingerprint,
            "scans": scans,
            "seed": seed,
            "epochs": len(history),
            "best_epoch": best_epochs(history),
            "parameters": sum(tensor.numel() for tensor in tensors.values()),
            "versions": _versions(),
            "weights": file_digest(weights),
        },
    )


def load_bundle(
    weights: Path, description: Path, device: torch.device | str = "cpu"
) -> tuple[NeuralModel | Estimator, dict[str, Any]]:
    """A trained model, ready for use on ``device``, and its description.

    Raises
    ------
    BundleError : missing or damaged files, weights that are no safetensors or do not fit the
        description's architecture.
    """
    content = _description(Path(description))
    tensors = _weights(Path(weights), content)
    try:
        module = registry.load(content["family"])
        model = module.build(
            contrasts=len(content["contrasts"]), size=content["size"], **content["settings"]
        )
    except (ConfigError, TypeError) as error:
        raise BundleError(f"{description}: this version cannot build the model: {error}") from None
    if isinstance(model, Estimator):
        model.to(torch.device(device))
        try:
            model.load_state(tensors)
        except (KeyError, ValueError) as error:
            raise BundleError(f"{weights}: does not fit {description}: {error}") from None
        return model, content
    _check_architecture(model.state_dict(), tensors, weights, content["family"])
    model.load_state_dict(tensors)
    model.to(torch.device(device), memory_format=torch.channels_last)
    return model.eval(), content


def check_fit(bundle: dict[str, Any], fingerprint: dict[str, Any]) -> None:
    """BundleError listing the differences when scans were made otherwise than the model's.

    Parameters
    ----------
    bundle : description of a model.
    fingerprint : of the slice pack that it is to be applied to.
    """
    unlike = differences(bundle["fingerprint"], fingerprint)
    if unlike:
        raise BundleError(
            f"the scans were preprocessed otherwise than those the model "
            f"'{bundle['family']}' was trained on; preprocess them with the model's protocol:\n"
            + "\n".join(f"  - {line}" for line in unlike)
        )


def scans_seen(bundle: dict[str, Any], contents: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Scans that a model was trained or validated on, whatever they are called now.

    Parameters
    ----------
    bundle : description of the model.
    contents : scan -> contrast -> digest of its voxels.

    Returns
    -------
    scan -> what it is known as: "its FLAIR is that of healthy/sub-01 (train)".

    Raises
    ------
    BundleError : a scan without digests, which nothing can be said of.
    """
    seen = {
        digest: f"{name} ({split})"
        for split, scans in bundle["scans"].items()
        for name, digests in scans.items()
        for digest in digests.values()
    }
    unknown = [scan for scan, digests in contents.items() if not digests]
    if unknown:
        raise BundleError(
            f"{', '.join(sorted(unknown))}: no digest of the content, so that nobody can tell "
            "whether the model was trained on it; check and pack the scans again"
        )
    found: dict[str, str] = {}
    for scan, digests in contents.items():
        for contrast, digest in sorted(digests.items()):
            if digest in seen:
                found.setdefault(scan, f"its {contrast} is that of {seen[digest]}")
    return found


def _state(model: NeuralModel | Estimator) -> dict[str, Tensor]:
    return model.state() if isinstance(model, Estimator) else model.state_dict()


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone().contiguous()


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "numpy", "safetensors")}
    return {"normscan": __version__, "python": platform.python_version(), **packages}


def _description(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except NormscanError as error:
        raise BundleError(str(error)) from None
    missing = [key for key in KEYS if not isinstance(content, dict) or key not in content]
    if missing:
        raise BundleError(f"{path}: not the description of a model; lacks {', '.join(missing)}")
    if content["format"] != FORMAT:
        raise BundleError(
            f"{path}: has format {content['format']}; this version reads format {FORMAT}, which "
            "says by content what a model was trained on; train the model again"
        )
    return content


def _weights(path: Path, content: dict[str, Any]) -> dict[str, Tensor]:
    if not path.is_file():
        raise BundleError(f"{path}: no such file")
    with open(path, "rb") as stream:
        start = stream.read(4)
    if start.startswith(b"PK") or start[:1] == b"\x80":
        raise BundleError(f"{path}: is a pickle; only safetensors are ever loaded")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: no readable safetensors file ({error})") from None
    if file_digest(path) != content["weights"]:
        raise BundleError(f"{path}: is not the file that its description was written with")
    return tensors


def _check_architecture(
    wanted: dict[str, Tensor], found: dict[str, Tensor], path: Path, family: str
) -> None:
    problems = [f"{name} is missing" for name in sorted(set(wanted) - set(found))]
    problems += [f"{name} is not part of the model" for name in sorted(set(found) - set(wanted))]
    problems += [
        f"{name} has shape {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(found))
        if wanted[name].shape != found[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        raise BundleError(f"{path}: does not fit a model of family '{family}': {shown}")
