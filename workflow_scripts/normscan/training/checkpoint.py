"""Checkpoints on disk: tensors as safetensors, everything else as JSON, nothing pickled.

A checkpoint is two files, ``{number}.safetensors`` and ``{number}.json``, both written under
temporary names and renamed, the JSON last; it holds the digest of the tensors' file. A checkpoint
is either whole or not there, and one that was damaged later is noticed and left out.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from normscan.errors import NormscanError
from normscan.files import atomic_path, file_digest, read_json, write_json

LOG = logging.getLogger("normscan")
FORMAT = 1
KEPT = 2
# The two files of a checkpoint, and the temporary names they are written under.
_WRITTEN = re.compile(r"\d{9}\.(safetensors|json)|\.\d{9}\.(safetensors|json)\..*")


def save_checkpoint(
    folder: Path, number: int, tensors: dict[str, Tensor], values: dict[str, Any], identity: str
) -> None:
    """Write checkpoint ``number`` and remove all but the newest two.

    Parameters
    ----------
    tensors : by name; copied to the CPU, in plain memory order.
    values : JSON-like.
    identity : digest of what the training is; a checkpoint of another one is never loaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights, description = _files(folder, number)
    plain = {name: _plain(tensor) for name, tensor in tensors.items()}
    with atomic_path(weights) as temporary:
        save_file(plain, temporary)
    header = {"format": FORMAT, "identity": identity, "digest": file_digest(weights)}
    write_json(description, {**header, "values": values})
    for old in _numbers(folder)[:-KEPT]:
        _remove(folder, old)


def load_checkpoint(folder: Path, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and values of the newest whole checkpoint of this training; None: there is none.

    Damaged ones and those of another training are left out with a warning.
    """
    for number in reversed(_numbers(folder)):
        weights, description = _files(folder, number)
        try:
            content = read_json(description)
            if content["format"] != FORMAT or content["identity"] != identity:
                LOG.warning("%s: is of another training or version; not used", description)
                continue
            if file_digest(weights) != content["digest"]:
                raise ValueError("the tensors are not those it was written with")
            return load_file(weights), content["values"]
        except (NormscanError, OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            LOG.warning("%s: damaged checkpoint, not used (%s)", description, error)
    return None


def remove_checkpoints(folder: Path) -> None:
    """Delete all checkpoints of a training, and the folder when nothing else is in it.

    What a job that was killed in the middle of writing one has left goes as well.
    """
    if not folder.is_dir():
        return
    written = [path for path in folder.iterdir() if _WRITTEN.fullmatch(path.name)]
    # By ending, so the JSON first, as in _remove.
    for path in sorted(written, key=lambda path: path.suffix):
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _plain(tensor: Tensor) -> Tensor:
    # A clone: tensors that share memory (tied weights) cannot be written otherwise.
    return tensor.detach().cpu().clone().contiguous()


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    name = f"{number:09d}"
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _numbers(folder: Path) -> list[int]:
    """Checkpoints in order; tensors without their JSON are not counted."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit())


def _remove(folder: Path, number: int) -> None:
    # The JSON first: without it, what is left is no checkpoint.
    for path in reversed(_files(folder, number)):
        path.unlink(missing_ok=True)
