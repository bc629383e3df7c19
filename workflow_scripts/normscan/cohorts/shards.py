"""Shards: the scans that one job processes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from normscan.cohorts.scans import Scan


def shard_of(scans: Sequence[Scan], shard_size: int) -> dict[str, list[Scan]]:
    """Divide scans into shards so that adding or removing one touches its own shard only.

    A subject's shard follows from its label and the number of shards alone, which is a power of
    two. No state is stored. All scans of a subject are in one shard.

    Shards double when the cohort outgrows them; then subjects move between shards, which costs no
    computation, since volumes are stored per scan and a scan with an unchanged record is kept.

    Parameters
    ----------
    scans : scans of one cohort.
    shard_size : scans per shard that are aimed at.

    Returns
    -------
    shard name ("00", "01", ...) -> its scans in the order of their ids; empty shards are left out.
    """
    buckets = 1
    while buckets * shard_size < len(scans):
        buckets *= 2
    width = max(2, len(str(buckets - 1)))
    found: dict[str, list[Scan]] = {}
    for scan in sorted(scans, key=lambda one: one.id):
        name = str(_bucket(scan.subject, buckets)).zfill(width)
        found.setdefault(name, []).append(scan)
    return dict(sorted(found.items()))


def _bucket(subject: str, buckets: int) -> int:
    """Running numbers are dealt in turn (balanced), other labels by their hash.

    Labels of most data sets end in a running number; dealing them in turn gives shards of equal
    size, and a label's bucket depends on nothing but the label.
    """
    digits = ""
    while subject and subject[-1].isdigit():
        digits, subject = subject[-1] + digits, subject[:-1]
    if digits:
        return int(digits) % buckets
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8]) % buckets
