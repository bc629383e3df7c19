"""Settings in words: ``max_epochs`` 14 -> "epochs at most 14"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Names that are not plain as they stand; all others lose their underscores.
LABELS = {
    "size": "side of a slice",
    "field_of_view": "width of a slice",
    "min_brain_voxels": "brain voxels of a slice at least",
    "spacing": "voxel size",
    "margin": "margin around the brain",
    "ceiling": "highest value",
    "latent": "size of the code",
    "kl_weight": "weight of the divergence",
    "skip_dropout": "dropout of the skips",
    "gdl_weight": "weight of the gradient differences",
    "max_epochs": "epochs at most",
    "patience": "epochs without improvement before stopping",
    "erosion": "erosion of the brain mask",
    "median": "width of the 3D median",
    "minimum_voxels": "smallest component",
    "tv_weight": "weight of the total variation",
    "tv_candidates": "candidate weights",
    "tv_slices": "slices to choose it on",
    "fuse": "of",
    "combine": "combined by",
    "least_scans": "healthy scans of a slice at least",
    "tail": "share of voxels in the tail",
}
UNITS = {
    "size": "px",
    "field_of_view": "mm",
    "spacing": "mm",
    "margin": "mm",
    "erosion": "voxel",
    "median": "voxel",
    "minimum_voxels": "voxel",
}
UNSET = {"spacing": "that of the atlas", "field_of_view": "that of the atlas"}


def setting(key: str, value: Any) -> str:
    """One setting, name and value."""
    return f"{label(key)} {shown(key, value)}"


def settings(values: Mapping[str, Any]) -> str:
    """Several settings; those that are not set, and empty mappings, are left out."""
    return ", ".join(
        setting(key, value) for key, value in values.items() if value is not None and value != {}
    )


def label(key: str) -> str:
    """The name of a setting."""
    return LABELS.get(key, key.replace("_", " "))


def shown(key: str, value: Any) -> str:
    """The value of a setting."""
    if value is None:
        return UNSET.get(key, "not set")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        unit = UNITS.get(key, "")
        return f"{value:g} {unit}{'s' * (unit == 'voxel' and value != 1)}".rstrip()
    if isinstance(value, Mapping) and value and all(isinstance(v, Mapping) for v in value.values()):
        return ", ".join(f"{label(name)} ({settings(one)})" for name, one in value.items())
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(name, one)} {name}" for name, one in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "/".join(shown(key, one) for one in value) or "none"
    return str(value)


def literal(text: str) -> str:
    """Text in whose braces nobody looks for a reference."""
    return text.replace("{", "(").replace("}", ")")
