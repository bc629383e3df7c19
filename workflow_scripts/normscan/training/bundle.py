"""Bundles: a trained model as weights (safetensors) and a description (JSON); never pickled."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from normscan import __version__, slices
from normscan.allowed import in_words, is_allowed
from normscan.errors import BundleError, NormscanError
from normscan.files import atomic_path, file_digest, read_json, write_json
from normscan.models import registry
from normscan.models.base import USED, BaseModel, fitted_names, load_weights
from normscan.plugins import complete_settings, literals
from normscan.slices.batch import View
from normscan.slices.index import differences
from normscan.training.curve import best_epochs

# 3: inputs and targets by name, models that are used.
FORMAT = 3
KEYS = (
    "format", "family", "settings", "inputs", "targets", "neighbours", "size", "uses",
    "fingerprint", "scans", "seed", "weights",
)  # fmt: skip


FACTS = ("family", "settings", "inputs", "targets", "neighbours", "size", "uses")
SIZE = literals(Path(slices.__file__).parent / "pack.py")["ALLOWED"]["size"]


@dataclass(frozen=True)
class ModelFacts:
    """What a model is built from.

    Attributes
    ----------
    settings : all settings of the family, so that a later change of defaults changes nothing.
    inputs, targets, neighbours : what it sees of slices (:class:`~normscan.slices.batch.View`).
    size : side of its slices in pixels.
    uses : the models it was given by role, whose weights are among its own.
    """

    family: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    size: int
    neighbours: int = 0
    uses: Mapping[str, ModelFacts] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """What it sees of slices."""
        return View(self.inputs, self.targets, self.neighbours)

    def build(self, seed: int = 0, uses: Mapping[str, BaseModel] | None = None) -> BaseModel:
        """A new model; those it uses are new ones as well where they are not given."""
        if uses is None:
            uses = {role: facts.build() for role, facts in self.uses.items()}
        shape = self.view.shape(self.size)
        return registry.build(self.family, shape, seed=seed, uses=uses, **self.settings)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "family": self.family,
            "capabilities": sorted(registry.capabilities(self.family, self.settings)),
            "settings": self.settings,
            "inputs": list(self.inputs),
            "targets": list(self.targets),
            "neighbours": self.neighbours,
            "size": self.size,
            "uses": {role: facts.to_json() for role, facts in self.uses.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelFacts:
        """What :meth:`to_json` gave, among other values."""
        return cls(
            family=content["family"],
            settings=content["settings"],
            inputs=tuple(content["inputs"]),
            targets=tuple(content["targets"]),
            size=content["size"],
            neighbours=content["neighbours"],
            uses={role: cls.from_json(one) for role, one in content["uses"].items()},
        )


def save_bundle(
    weights: Path,
    description: Path,
    model: BaseModel,
    facts: ModelFacts,
    *,
    fingerprint: dict[str, Any],
    scans: Mapping[str, Mapping[str, Mapping[str, str]]],
    seed: int,
    history: list[dict[str, Any]],
    taught: Mapping[str, Any] | None = None,
    augmentation: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a trained model; equal trainings give equal bytes.

    Parameters
    ----------
    weights, description : ``weights.safetensors`` and ``bundle.json``.
    fingerprint : of the slices it was trained on.
    scans : split -> ``cohort/scan`` it was trained or validated on -> contrast -> digest of its
        voxels.
    history : as returned by :func:`normscan.training.loop.train`.
    taught : where it was trained on pseudo-labels, who made them
        (:func:`normscan.training.taught.described_labels`).
    augmentation : transforms of the training slices with their settings; None: there were none.
    """
    tensors = {name: _plain(tensor) for name, tensor in model.state_dict().items()}
    with atomic_path(weights) as temporary:
        save_file(tensors, temporary)
    own = [tensor for name, tensor in tensors.items() if not name.startswith(USED)]
    write_json(
        description,
        {
            **facts.to_json(),
            "format": FORMAT,
            "fingerprint": fingerprint,
            "scans": scans,
            "augmentation": dict(augmentation or {}),
            "seed": seed,
            "epochs": len(history),
            "best_epoch": best_epochs(history),
            "parameters": sum(tensor.numel() for tensor in own),
            "versions": _versions(),
            "weights": file_digest(weights),
            **({"taught": dict(taught)} if taught else {}),
        },
    )


def load_bundle(
    weights: Path, description: Path, device: torch.device | str = "cpu"
) -> tuple[BaseModel, dict[str, Any]]:
    """A trained model, ready for use on ``device``, and its description.

    Raises
    ------
    BundleError : missing or damaged files, a description that no model can be built from, weights
        that are no safetensors, no finite numbers or do not fit the description's architecture.
    """
    content = _description(Path(description))
    tensors = _weights(Path(weights), content)
    problems = "; ".join(_facts_problems(content, ""))
    try:
        model = None if problems else ModelFacts.from_json(content).build()
    except Exception as error:
        # What a network says to settings that do not go together is of any kind.
        problems = str(error) or type(error).__name__
    if problems or model is None:
        raise BundleError(f"{description}: this version cannot build the model: {problems}")
    _check_architecture(model, tensors, weights, content["family"])
    load_weights(model, tensors)
    # (Torch's annotations know the memory format together with a type only.)
    model.to(torch.device(device), memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
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
    content = content if isinstance(content, dict) else {}
    if content.get("format", FORMAT) != FORMAT:
        raise BundleError(
            f"{path}: has format {content['format']}; this version reads format {FORMAT}, which "
            "names a model's inputs and targets; train the model again"
        )
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise BundleError(f"{path}: not the description of a model; lacks {', '.join(missing)}")
    if not isinstance(content["fingerprint"], dict) or not _are_scans(content["scans"]):
        raise BundleError(
            f"{path}: 'fingerprint' or 'scans' does not say what the model was trained on; use the "
            "file that was written with the weights"
        )
    return content


def _are_scans(found: Any) -> bool:
    """Whether it is split -> scan -> contrast -> digest."""
    splits = _values(found)
    scans = [one for split in splits for one in _values(split)]
    return all(isinstance(digest, str) for one in scans for digest in _values(one))


def _values(found: Any) -> list[Any]:
    """Of a mapping; of anything else a value that is none of what is asked for."""
    return list(found.values()) if isinstance(found, dict) else [None]


def _facts_problems(content: Any, where: str) -> Iterator[str]:
    """What in a description cannot be, of a model and those that it uses, by its key.

    Which families there are, and what goes together, is for who builds the model to say.

    Parameters
    ----------
    where : what stands before each key.
    """
    if not isinstance(content, dict):
        yield f"{where.rstrip('.')}: found {content!r}; must describe a model"
        return
    if lacking := [key for key in FACTS if key not in content]:
        yield f"{where}{lacking[0]}: is missing"
        return
    for key in ("inputs", "targets"):
        names = content[key]
        if not isinstance(names, list) or not names or not set(map(type, names)) <= {str}:
            yield f"{where}{key}: found {names!r}; must be a list of contrasts"
    for key, allowed in (("neighbours", "whole 0.."), ("size", f"whole {SIZE}")):
        if not is_allowed(content[key], allowed):
            yield f"{where}{key}: found {content[key]!r}{in_words(content[key], allowed)}"
    family, settings, uses = content["family"], content["settings"], content["uses"]
    if not isinstance(settings, dict):
        yield f"{where}settings: found {settings!r}; must be a mapping"
    elif family in registry.families():
        known, ranges = registry.describe(family)["settings"], registry.ranges(family)
        complete, wrong = complete_settings(settings, known, ranges, f"{where}settings")
        yield from wrong or registry.network_problems(family, complete, f"{where}settings")
    if not isinstance(uses, dict):
        yield f"{where}uses: found {uses!r}; must be a mapping"
        return
    for role, used in uses.items():
        yield from _facts_problems(used, f"{where}uses.{role}.")


def _weights(path: Path, content: dict[str, Any]) -> dict[str, Tensor]:
    if not path.is_file():
        raise BundleError(f"{path}: no such file")
    with open(path, "rb") as stream:
        start = stream.read(9)
    # Safetensors begin with the length of their header in eight bytes, whose first may be anything.
    if start[8:] != b"{" and (start.startswith(b"PK") or start[:1] == b"\x80"):
        raise BundleError(f"{path}: is a pickle; only safetensors are ever loaded")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: no readable safetensors file ({error})") from None
    if file_digest(path) != content["weights"]:
        raise BundleError(f"{path}: is not the file that its description was written with")
    if wild := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise BundleError(
            f"{path}: {wild[0]} holds values that are no finite numbers; train the model again"
        )
    return tensors


def _check_architecture(
    model: BaseModel, found: dict[str, Tensor], path: Path, family: str
) -> None:
    wanted, fitted = model.state_dict(), fitted_names(model)
    problems = [f"{name} is missing" for name in sorted(set(wanted) - set(found))]
    problems += [f"{name} is not part of the model" for name in sorted(set(found) - set(wanted))]
    problems += [
        f"{name} has shape {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(found))
        if wanted[name].shape != found[name].shape
        and (name not in fitted or wanted[name].ndim != found[name].ndim)
    ]
    if problems:
        shown = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        raise BundleError(f"{path}: does not fit a model of family '{family}': {shown}")
