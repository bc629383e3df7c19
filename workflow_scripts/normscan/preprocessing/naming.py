"""Names of derived files, after BIDS derivatives; every name of this room is built here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from normscan import __version__
from normscan.files import write_json, write_text

BIDS_VERSION = "1.10.0"
# Manifests and records of this workflow, and transforms, for which BIDS has no names yet.
NOT_BIDS = ("/[0-9]*.json", "/[0-9]*.tsv", "record.json", ".*.json", "*_xfm.mat", "*_xfm.nii.gz")


def volume_name(scan: str, space: str, step: str, contrast: str) -> str:
    """Name of an image: ``sub-01_space-robex_desc-register_FLAIR.nii.gz``."""
    # BIDS labels are alphanumeric: strip_skull becomes stripskull.
    return f"{scan}_space-{space}_desc-{step.replace('_', '')}_{contrast}.nii.gz"


def brain_name(scan: str, space: str) -> str:
    """Name of a brain mask: ``sub-01_space-robex_desc-brain_mask.nii.gz``."""
    return f"{scan}_space-{space}_desc-brain_mask.nii.gz"


def body_name(scan: str, space: str) -> str:
    """Name of a mask of the whole body: ``sub-01_space-robex_desc-body_mask.nii.gz``."""
    return f"{scan}_space-{space}_desc-body_mask.nii.gz"


def shows_body(path: str) -> bool:
    """Whether a mask that stands for the brain's is one of the whole body."""
    return path.endswith("_desc-body_mask.nii.gz")


def lesions_name(scan: str, space: str) -> str:
    """Name of a lesion label map: ``sub-01_space-robex_desc-lesion_dseg.nii.gz``."""
    return f"{scan}_space-{space}_desc-lesion_dseg.nii.gz"


def anatomy_name(scan: str, space: str) -> str:
    """Name of a map of anatomical classes: ``sub-01_space-robex_desc-anatomy_dseg.nii.gz``."""
    return f"{scan}_space-{space}_desc-anatomy_dseg.nii.gz"


def tissue_name(scan: str, space: str) -> str:
    """Name of a tissue label map: ``sub-01_space-robex_desc-tissue_dseg.nii.gz``."""
    return f"{scan}_space-{space}_desc-tissue_dseg.nii.gz"


def transform_name(scan: str, source: str, target: str, suffix: str = ".mat") -> str:
    """Name of a transform: ``sub-01_from-FLAIR_to-robex_xfm.mat``.

    ``.mat``: an affine; ``.nii.gz``: a displacement field.
    """
    return f"{scan}_from-{source}_to-{target}_xfm{suffix}"


def write_dataset_description(folder: str | Path, title: str, kind: str = "derivative") -> Path:
    """Write ``dataset_description.json`` of a BIDS folder; returns its path.

    ``.bidsignore`` beside it names what is no part of BIDS.

    Parameters
    ----------
    kind : ``derivative``, or ``raw`` of scans that were only brought into another format.
    """
    write_text(Path(folder, ".bidsignore"), "".join(f"{one}\n" for one in NOT_BIDS))
    path = Path(folder) / "dataset_description.json"
    write_json(
        path,
        {
            "Name": title,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": kind,
            "GeneratedBy": [{"Name": "normscan", "Version": __version__}],
        },
    )
    return path


def write_space(folder: str | Path, space: str, volumes: Iterable[str | Path]) -> None:
    """Say in which space all volumes of a derivatives folder are: ``FLAIR.json``, ``mask.json``.

    Parameters
    ----------
    volumes : names or paths of NIfTI files, one for each kind at least.
    """
    _write_sidecars(folder, volumes, {"SpatialReference": space})


def write_stripping(folder: str | Path, stripped: bool, volumes: Iterable[str | Path]) -> None:
    """Say whether all images of a derivatives folder show brains only, as BIDS asks for."""
    _write_sidecars(folder, volumes, {"SkullStripped": stripped})


def _write_sidecars(
    folder: str | Path, volumes: Iterable[str | Path], content: dict[str, Any]
) -> None:
    for suffix in sorted({Path(one).name.split(".")[0].rpartition("_")[2] for one in volumes}):
        write_json(Path(folder, f"{suffix}.json"), content)
