"""Shards: the scans that one job processes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from normscan.cohorts.scans import Scan

DIGITS = re.compile(r"\d+")
AUTO = "auto"
# Small cohorts are spread over the cores of one machine; in large ones a shard may be longer work,
# so that a study of thousands does not become millions of jobs.
AUTO_SIZES = (8, 256)
AUTO_SHARDS = 32


def shard_count(scans: int, shard_size: int | str) -> int:
    """The power of two at or above ``scans / shard_size``.

    ``auto`` aims at 8 scans per shard up to 32 shards, and then at 32 shards up to 256 scans each.
    """
    if shard_size == AUTO:
        small, large = AUTO_SIZES
        few = min(shard_count(scans, small), AUTO_SHARDS)
        return max(few, shard_count(scans, large))
    size, count = int(shard_size), 1
    while count * size < scans:
        count *= 2
    return count


def shard_of(scans: Sequence[Scan], shard_size: int | str) -> dict[str, list[Scan]]:
    """Divide scans into shards so that adding or removing one touches its own shard only.

    A subject's shard follows from its label and the number of shards alone; no state is stored.
    The number of shards is that of :func:`shard_count`, so shards hold ``shard_size`` scans or
    fewer on average. Running numbers (01, 02, ...) are dealt in turn, which
    gives shards of equal size; other labels fall where their hash says, so that single shards may
    be larger. All scans of a subject are in one shard.

    When a cohort outgrows its shards, their number doubles and subjects move between them. That
    renews manifests and packs, but no volume: volumes are stored per scan, and a scan with an
    unchanged record is kept.

    Parameters
    ----------
    scans : scans of one cohort.
    shard_size : scans per shard that are aimed at, or ``auto``.

    Returns
    -------
    shard name ("00", "01", ...) -> its scans in the order of their ids; empty shards are left out.
    """
    buckets = shard_count(len(scans), shard_size)
    width = max(2, len(str(buckets - 1)))
    found: dict[str, list[Scan]] = {}
    for scan in sorted(scans, key=lambda one: one.id):
        name = str(_position(scan.subject) % buckets).zfill(width)
        found.setdefault(name, []).append(scan)
    return dict(sorted(found.items()))


def _position(subject: str) -> int:
    """Running numbers in a label count up one by one, whatever else the label holds.

    Thousands are counted once more: a number that ends in a constant "000" (a visit) would
    otherwise be a multiple of every small power of two.
    """
    numbers = [int(digits) for digits in DIGITS.findall(subject)]
    letters = DIGITS.sub("", subject)
    offset = hashlib.sha256(letters.encode()).digest()[:8] if letters else b"\0"
    return sum(one + one // 1000 for one in numbers) + int.from_bytes(offset, "big")
