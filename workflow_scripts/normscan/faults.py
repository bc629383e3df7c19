"""Faults of the machine, told from those of a scan: only its own may leave a scan out."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from normscan.errors import MachineError

# What no scan can be blamed for: room, rights, broken or vanished disks, limits of the system.
CODES = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    errno.EAGAIN,
}  # fmt: skip
WHAT_TO_DO = (
    "this is a fault of the machine (room, rights, memory, disks): mend it and run again, what is "
    "finished is kept"
)
# Libraries written in C++ say in words of their own that a file could not be written.
LEAST_ROOM = 16 << 20


def is_machine_fault(error: BaseException, folder: str | Path) -> bool:
    """Whether an error, or what it came from, is one of the machine.

    Parameters
    ----------
    folder : where results were written, if it is there; with next to no room left anything may
        fail.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (MemoryError, MachineError)):
            return True
        if isinstance(seen, OSError) and seen.errno in CODES:
            return True
        seen = seen.__cause__ or seen.__context__
    folder = Path(folder).absolute()
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    return shutil.disk_usage(there).free < LEAST_ROOM
