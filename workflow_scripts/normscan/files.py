"""Reading and writing files so that nothing half-written is ever taken for a result."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from normscan.errors import NormscanError

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage


# Stands in the name of what is not complete, after a dot.
PARTIAL = ".partial"
# What this process has put in place, in order.
_PLACED: dict[Path, None] = {}


@contextmanager
def atomic_path(path: str | Path) -> Generator[Path]:
    """Yield a temporary name beside ``path`` that becomes ``path`` when the block succeeds.

    The temporary name keeps all suffixes (``.nii.gz``), since writers choose formats by them.
    It is removed when the block fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name[:40]}.", suffix=PARTIAL + suffix, dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    note_placed([path])


def is_partial(name: str) -> bool:
    """Whether a file or folder of this name is one that a killed job left incomplete."""
    return name.startswith(".") and PARTIAL in name


def note_placed(paths: Iterable[Path]) -> None:
    """Let files count as placed by this process: written, or found complete and kept."""
    _PLACED.update(dict.fromkeys(paths))


def placed() -> list[Path]:
    """Files that this process has put in place, or kept, and that are still there."""
    return [path for path in _PLACED if path.is_file()]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as JSON with sorted keys (equal content gives equal bytes)."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises NormscanError naming the file when missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NormscanError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NormscanError(f"{path}: not a JSON file ({error})") from None


def write_tsv(path: str | Path, table) -> None:
    """Write a pandas table as tab-separated text, without its index, missing values as ``n/a``."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def read_tsv(path: str | Path, **options: Any):
    """Read a tab-separated table (pandas); ``n/a`` and empty cells are missing values.

    Raises
    ------
    NormscanError : missing, no table, or cut off: every line that was written has an end.
    """
    import pandas

    # Nothing else is missing: a subject may be called NA, None or null.
    options |= {"sep": "\t", "na_values": ["n/a", ""], "keep_default_na": False}
    try:
        table = pandas.read_csv(path, **options)
        with open(path, "rb") as stream:
            stream.seek(-1, os.SEEK_END)
            complete = stream.read() == b"\n"
    except FileNotFoundError:
        raise NormscanError(f"{path}: no such file") from None
    except ValueError as error:
        raise NormscanError(f"{path}: not a table ({error})") from None
    if not complete:
        raise NormscanError(f"{path}: the table is cut off")
    return table


@contextmanager
def new_array(path: str | Path, shape: tuple[int, ...], dtype) -> Generator[np.ndarray]:
    """Yield a memory-mapped array of zeros whose file is ``path`` (.npy) when the block succeeds.

    Room for all of it is taken at once: on a disk that is full later, writing to mapped memory
    would kill the process instead of raising an error.
    """
    with atomic_path(path) as temporary:
        if 0 in shape:
            # An empty file cannot be mapped.
            array = np.empty(shape, dtype)
            np.save(temporary, array, allow_pickle=False)
            yield array
            return
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        _take_room(temporary)
        yield array
        array.flush()


def _take_room(path: Path) -> None:
    """Let a file have all of its blocks, where the file system can do that."""
    with path.open("r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise


def map_array(path: str | Path, remedy: str) -> np.ndarray:
    """An array file (.npy) as a read-only memory map.

    Raises
    ------
    NormscanError : missing, truncated or no array; it ends with the remedy.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise NormscanError(f"{path}: cannot be read ({error}); {remedy}") from None


def save_nifti(path: str | Path, data: np.ndarray, affine: np.ndarray, dtype=None) -> None:
    """Write a volume as NIfTI, atomically and byte-identically for equal content.

    Parameters
    ----------
    path : ends in ``.nii`` or ``.nii.gz``; the gzip header carries no time and no name.
    data : 3D array.
    affine : (4, 4) voxel to world (RAS+, mm).
    dtype : type on disk; default: the array's.
    """
    import gzip

    import nibabel

    array = np.asarray(data, dtype=dtype)
    image = nibabel.Nifti1Image(array, affine)
    # Some tools read the qform only.
    image.set_qform(affine, code="aligned")
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        content = image.to_bytes()
        if str(path).endswith(".gz"):
            with open(temporary, "wb") as raw:
                with gzip.GzipFile("", "wb", compresslevel=5, fileobj=raw, mtime=0) as packed:
                    packed.write(content)
        else:
            temporary.write_bytes(content)


def load_nifti(path: str | Path, dtype=np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Read a 3D NIfTI volume: (data as ``dtype``, affine (4, 4))."""
    image = open_nifti(path)
    return nifti_values(image, path).astype(dtype, copy=False), np.asarray(image.affine)


def open_nifti(path: str | Path) -> SpatialImage:
    """The header of a NIfTI file; its values are read where they are asked for.

    Raises
    ------
    NormscanError : missing, or no image.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        return cast("SpatialImage", nibabel.load(path))
    except (OSError, EOFError, zlib.error, ImageFileError) as error:
        raise NormscanError(f"{path}: cannot be read ({error})") from error


def nifti_values(image: SpatialImage, path: str | Path) -> np.ndarray:
    """The values of an open NIfTI file. NormscanError naming it when it is truncated or damaged."""
    try:
        return np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise NormscanError(f"{path}: cannot be read ({error})") from error


def inside(folder: str | Path, path: str | Path) -> Path:
    """``path`` made absolute below ``folder``; NormscanError when it leaves the folder.

    Links are followed on neither side: a data set may itself be made of links.
    """
    folder = Path(os.path.abspath(folder))
    full = Path(os.path.abspath(folder / path))
    if full != folder and folder not in full.parents:
        raise NormscanError(f"{path}: leads outside of {folder}; paths must stay inside it")
    return full


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, first 16 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def file_digests(folder: str | Path, names: Iterable[str]) -> dict[str, list[Any]]:
    """Name -> [bytes, digest] of files in a folder."""
    paths = {name: Path(folder, name) for name in names}
    return {name: [path.stat().st_size, file_digest(path)] for name, path in paths.items()}


def are_unchanged(folder: str | Path, made: Any) -> bool:
    """Whether files of a folder are all there, and as :func:`file_digests` found them."""
    try:
        return file_digests(folder, made) == made
    except OSError:
        return False


def value_digest(value: Any) -> str:
    """SHA-256 of a JSON-like value, first 16 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
