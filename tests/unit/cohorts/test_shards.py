"""Shards: a scan that comes or goes touches its own shard only."""

import random

import pytest

from normscan.cohorts.scans import Scan
from normscan.cohorts.shards import shard_count, shard_of


def scans(*labels, sessions=("",)):
    return [Scan("c", label, session) for label in labels for session in sessions]


def ids(shards):
    return {name: [scan.id for scan in members] for name, members in shards.items()}


LABELS = {
    "plain": [f"{n:02d}" for n in range(1, 81)],
    "IXI": [f"IXI{n:03d}" for n in range(12, 92)],
    "constant end": [f"BraTSGLI{n:05d}000" for n in range(80)],
    "visit": [f"P{n:03d}V1" for n in range(80)],
    "two numbers": [f"site3sub{n:03d}" for n in range(80)],
}
LETTERS = ["".join(random.Random(n).choices("abcdefgh", k=8)) for n in range(80)]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("count", [1, 2, 4, 6, 10, 13, 40, 80])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 8])
def test_running_numbers_give_shards_of_equal_size(labels, count, size):
    shards = shard_of(scans(*labels[:count]), size)
    sizes = [len(members) for members in shards.values()]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= size
    assert sum(sizes) == count


def test_names_count_from_zero_with_two_digits():
    assert list(shard_of(scans(*LABELS["plain"][:20]), 5)) == ["00", "01", "02", "03"]
    many = shard_of(scans(*(f"{n:03d}" for n in range(128))), 1)
    assert (list(many)[0], list(many)[-1], len(many)) == ("000", "127", 128)


def test_other_labels_are_spread():
    shards = shard_of(scans(*LETTERS), 5)
    assert len(shards) >= 14
    assert max(len(members) for members in shards.values()) <= 15


@pytest.mark.parametrize("labels", [*LABELS.values(), LETTERS], ids=[*LABELS, "letters"])
def test_adding_or_removing_a_subject_touches_its_own_shard_only(labels):
    """From 41 to 80 scans of five there are 16 shards; every single change in between."""
    for count in range(41, 80):
        before, after = (ids(shard_of(scans(*labels[:n]), 5)) for n in (count, count + 1))
        new = f"sub-{labels[count]}"
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        assert len(changed) == 1
        (name,) = changed
        assert sorted([*before.get(name, []), new]) == after[name]


@pytest.mark.parametrize("trial", range(20))
def test_removing_any_subject_leaves_the_others_where_they_are(trial):
    rng = random.Random(trial)
    chosen = rng.sample([*LETTERS, *LABELS["IXI"]], 60)
    before = ids(shard_of(scans(*chosen), 5))
    gone = rng.choice(chosen)
    after = ids(shard_of(scans(*(label for label in chosen if label != gone)), 5))
    for name, members in before.items():
        assert after.get(name, []) == [one for one in members if one != f"sub-{gone}"]


def test_all_sessions_of_a_subject_are_in_one_shard():
    shards = shard_of(scans(*LABELS["IXI"][:12], sessions=("1", "2", "10")), 4)
    places = {}
    for name, members in shards.items():
        for scan in members:
            places.setdefault(scan.subject, set()).add(name)
    assert len(places) == 12
    assert all(len(names) == 1 for names in places.values())
    assert sum(len(members) for members in shards.values()) == 36


def test_the_order_of_scans_does_not_matter():
    members = scans(*LABELS["plain"], *LETTERS)
    shuffled = random.Random(0).sample(members, len(members))
    assert shard_of(shuffled, 8) == shard_of(members, 8)


def test_every_scan_is_in_one_shard():
    members = scans(*LETTERS, *LABELS["visit"], sessions=("1", "2"))
    found = [scan for group in shard_of(members, 8).values() for scan in group]
    assert sorted(scan.id for scan in found) == sorted(scan.id for scan in members)


def test_no_scans_no_shards():
    assert shard_of([], 4) == {}


def test_automatic_shards_grow_before_they_become_many():
    counts = {scans: shard_count(scans, "auto") for scans in (1, 8, 9, 256, 257, 5000, 8192, 8193)}
    assert counts == {1: 1, 8: 1, 9: 2, 256: 32, 257: 32, 5000: 32, 8192: 32, 8193: 64}
