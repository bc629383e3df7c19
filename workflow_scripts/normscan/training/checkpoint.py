"""Checkpoints without pickle: tensors as safetensors, everything else as JSON.

A checkpoint is two files written under temporary names and renamed, the JSON last; it names the
tensors' digest, so that a pair that does not belong together is never loaded. The folder is keyed by
what determines the training, so a checkpoint of another configuration is never found.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from normscan.files import atomic_path, file_digest, write_json

LOG = logging.getLogger("normscan")
KEPT = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write a nested state of tensors and plain values as checkpoint number ``step``."""
    tensors: dict[str, torch.Tensor] = {}
    plain = _split(state, "", tensors)
    weights = folder / f"{step:08d}.safetensors"
    with atomic_path(weights) as temporary:
        save_file(tensors, temporary)
    write_json(folder / f"{step:08d}.json", {"digest": file_digest(weights), "state": plain})
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that is whole; None when there is none.

    A truncated or damaged one is passed over with a warning.
    """
    for path in sorted(folder.glob("*.json"), reverse=True):
        weights = path.with_suffix(".safetensors")
        try:
            content = json.loads(path.read_text())
            if file_digest(weights) != content["digest"]:
                raise ValueError("weights and description do not belong together")
            return _join(content["state"], load_file(weights, device=str(device)))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            LOG.warning("%s: checkpoint passed over (%s)", path, error)
    return None


def remove_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a training that has ended."""
    for path in [*folder.glob("*.json"), *folder.glob("*.safetensors")]:
        path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _split(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """A nested value with its tensors taken out and named in their place."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[key, _split(inner, f"{name}/{key}", tensors)] for key, inner in value.items()]
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        parts = [_split(inner, f"{name}/{i}", tensors) for i, inner in enumerate(value)]
        return {"list": parts}
    return {"value": value}


def _join(value: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "dict" in value:
        return {key: _join(inner, tensors) for key, inner in value["dict"]}
    if "list" in value:
        return [_join(inner, tensors) for inner in value["list"]]
    return value["value"]
