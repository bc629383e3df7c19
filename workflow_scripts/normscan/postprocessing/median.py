"""3D median filter by shared sorting networks.

A window is sorted as a merge of smaller sorted windows, and neighbouring windows share those:
values are merged to rows, rows to planes, planes to cubes, and two cubes that differ by one plane
share the other planes. Every comparison is one minimum or maximum of whole arrays, so there is
nothing to compile and the result does not depend on threads. Shared merges: Adams, "Fast median
filters using separable sorting networks", ACM Trans. Graph. 40(4), 2021. Batcher's odd-even
merge: Knuth, TAOCP vol. 3, section 5.3.4. `benchmarks/median.py` compares it with SciPy and
SimpleITK.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import cast

import numpy as np

from normscan.errors import ConfigError

# Voxels per array: large enough to hide calls, small enough for caches. By measurement.
CHUNK = 8192
Sorted = list[np.ndarray]


def median_filter(volume: np.ndarray, width: int, threads: int = 1) -> np.ndarray:
    """Exact 3D median in a cube, equal to ``scipy.ndimage.median_filter(mode="constant")``.

    Outside of the volume is zero, as outside of the brain. Only the bounding box of the non-zero
    voxels is computed: elsewhere most of every window is zero and so is its median.

    Parameters
    ----------
    volume : (x, y, z) float32, finite.
    width : of the cube in voxels, odd; 1 returns the volume.
    threads : the result is the same for any number.

    Raises
    ------
    ConfigError : an even width, or one below 1.
    """
    if width < 1 or width % 2 == 0:
        raise ConfigError(f"median: found {width}; must be odd and at least 1")
    volume = np.asarray(volume, dtype=np.float32)
    if width == 1 or not volume.any():
        return volume.copy()
    box = _nonzero_box(volume)
    inner = np.pad(volume[box], width // 2)
    _, height, depth = volume[box].shape
    rows = min(max(CHUNK // depth, 2 * width), height)
    starts = range(0, height, rows)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        parts = list(pool.map(lambda start: _chunk(inner, start, rows, width), starts))
    found = np.zeros_like(volume)
    found[box] = np.concatenate(parts, axis=1)
    return found


def _nonzero_box(volume: np.ndarray) -> tuple[slice, ...]:
    used = [np.flatnonzero(volume.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in used)


def _chunk(padded: np.ndarray, start: int, rows: int, width: int) -> np.ndarray:
    """Medians (planes, rows, depth) of some rows of a volume that is padded by half a width."""
    block = padded[:, start : start + rows + width - 1]
    planes, height, depth = block.shape
    count, rows = planes - width + 1, height - width + 1
    found = np.empty((count, rows * depth), np.float32)
    windows = _Planes(block, width)
    length = rows * depth - width + 1
    # Planes p+1 .. p+width-1 are common to the cubes that start at p and at p+1.
    for p in range(0, count, 2):
        common = windows.middle(p + 1)
        found[p, :length] = _select(windows.of(1, p), common)
        if p + 1 < count:
            found[p + 1, :length] = _select(windows.of(1, p + width), common)
        windows.forget(p + 2)
    return found.reshape(count, rows, depth)[:, :, : depth - width + 1]


class _Planes:
    """Sorted windows over consecutive planes, each computed once.

    Planes are flat: a step along z is an offset of 1, along y of a row. What wraps around the end
    of a row is computed too, and thrown away at the end.
    """

    def __init__(self, block: np.ndarray, width: int):
        self.block, self.width = block, width
        self.known: dict[tuple[int, int], Sorted] = {}

    def of(self, size: int, p: int) -> Sorted:
        """Sorted (size * width^2 arrays) values of planes p .. p+size-1."""
        if (size, p) not in self.known:
            if size == 1:
                plane = [self.block[p].ravel()]
                plane = _window(plane, self.width, 1)
                found = _window(plane, self.width, self.block.shape[2])
            else:
                half = _largest_part(size)
                found = _merge(self.of(half, p), self.of(size - half, p + half))
            self.known[size, p] = found
        return self.known[size, p]

    def middle(self, p: int) -> Sorted:
        """Of the sorted planes p .. p+width-2 those ranks that may be a cube's median."""
        square, size = self.width**2, self.width - 1
        half = _largest_part(size)
        median = self.width**3 // 2
        return _merge(self.of(half, p), self.of(size - half, p + half), median - square, median + 1)

    def forget(self, p: int) -> None:
        """Drop what starts before plane p."""
        self.known = {key: value for key, value in self.known.items() if key[1] >= p}


def _window(values: Sorted, width: int, step: int) -> Sorted:
    """Sorted windows of ``width`` elements that lie ``step`` apart, from sorted elements."""
    if width == 1:
        return values
    half = _largest_part(width)
    first = _window(values, half, step)
    second = first if 2 * half == width else _window(values, width - half, step)
    length = len(values[0]) - (width - 1) * step
    return _merge([one[:length] for one in first], [one[half * step :][:length] for one in second])


def _largest_part(size: int) -> int:
    """Largest power of two below ``size``: windows of powers of two are shared most."""
    return 1 << ((size - 1).bit_length() - 1)


def _select(one: Sorted, middle: Sorted) -> np.ndarray:
    """Median of the union of a sorted plane (n arrays) and the n + 1 middle ranks of the others.

    Rank k of a union is the smallest of max(a_i, b_(k-i)) over all splits.
    """
    found = middle[-1].copy()
    larger = np.empty_like(found)
    for a, b in zip(one, reversed(middle[:-1])):
        np.maximum(a, b, out=larger)
        np.minimum(found, larger, out=found)
    return found


def _merge(first: Sorted, second: Sorted, start: int = 0, stop: int | None = None) -> Sorted:
    """Ranks ``start`` .. ``stop`` - 1 of two sorted lists together."""
    stop = len(first) + len(second) if stop is None else stop
    steps, results = _network(len(first), len(second), start, stop)
    values: list[np.ndarray | None] = [*first, *second]
    for function, a, b, done in steps:
        values.append(function(values[a], values[b]))
        for wire in done:
            values[wire] = None
    return [cast(np.ndarray, values[wire]) for wire in results]


@cache
def _network(n: int, m: int, start: int, stop: int) -> tuple[list, list[int]]:
    """Merging network for sorted lists of n and m values, without what is not needed.

    Returns
    -------
    steps : (function, wire, wire, wires used for the last time); step i makes wire n + m + i.
    results : wires of the ranks ``start`` .. ``stop`` - 1.
    """
    every: list[tuple] = []
    outputs = _odd_even_merge(range(n), range(n, n + m), every, n + m)[start:stop]
    needed = set(outputs)
    for wire in reversed(range(n + m, n + m + len(every))):
        if wire in needed:
            needed |= set(every[wire - n - m][1:])
    number = {wire: wire for wire in range(n + m)}
    steps, last = [], {}
    for wire in sorted(needed - set(number)):
        function, a, b = every[wire - n - m]
        last[number[a]] = last[number[b]] = len(steps)
        number[wire] = n + m + len(steps)
        steps.append((function, number[a], number[b], []))
    results = [number[wire] for wire in outputs]
    for wire in set(last) - set(results):
        steps[last[wire]][3].append(wire)
    return steps, results


def _odd_even_merge(
    first: Sequence[int], second: Sequence[int], steps: list[tuple], inputs: int
) -> list[int]:
    """Batcher's merge for lists of any length; appends (function, wire, wire) to ``steps``."""
    if not first or not second:
        return [*first, *second]

    def compare(a: int, b: int) -> list[int]:
        steps.extend([(np.minimum, a, b), (np.maximum, a, b)])
        return [inputs + len(steps) - 2, inputs + len(steps) - 1]

    if len(first) == len(second) == 1:
        return compare(first[0], second[0])
    even = _odd_even_merge(first[::2], second[::2], steps, inputs)
    odd = _odd_even_merge(first[1::2], second[1::2], steps, inputs)
    pairs = min(len(odd), len(even) - 1)
    merged = [even[0]]
    for i in range(pairs):
        merged += compare(odd[i], even[i + 1])
    return [*merged, *odd[pairs:], *even[pairs + 1 :]]
