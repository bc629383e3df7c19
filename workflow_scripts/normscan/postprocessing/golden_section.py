"""Golden-section search of the smallest threshold that keeps a false-positive limit.

Source: Kiefer 1953, as You et al. 2019, section 2.4, use it. Their published code minimises the
distance between rate and limit, which may end above the limit and, where few scores are different,
anywhere on a step of the rate. Here a threshold that breaks the limit is worse than any that keeps
it, and of those a smaller one is better: a function with one minimum, which is the threshold that
the paper defines.
"""

from __future__ import annotations

from collections.abc import Callable

RATIO = (5**0.5 - 1) / 2


def golden_section(
    value: Callable[[float], tuple[int, float]], low: float, high: float, tolerance: float
) -> tuple[float, float]:
    """An interval of at most ``tolerance`` that holds the minimum of a function.

    Parameters
    ----------
    value : falls, then rises; steps on which it is constant only where it falls. Pairs are compared
        in order.
    low, high : where to search.

    Returns
    -------
    low, high : ``high`` is the given one, or a place where the function was computed and does not
        fall any more.
    """
    left, right = high - RATIO * (high - low), low + RATIO * (high - low)
    at_left, at_right = value(left), value(right)
    while high - low > tolerance:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - RATIO * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + RATIO * (high - low)
            at_right = value(right)
    return low, high


def smallest_within(
    rate: Callable[[float], float], limit: float, high: float, tolerance: float
) -> float:
    """The smallest threshold in [0, high] with a ``rate`` of at most ``limit``, up to a tolerance.

    Parameters
    ----------
    rate : of false positives at a threshold; falls with it, and keeps the limit at ``high``.
    """

    def value(threshold: float) -> tuple[int, float]:
        found = rate(threshold)
        return (1, found) if found > limit else (0, threshold)

    return 0.0 if rate(0.0) <= limit else golden_section(value, 0.0, high, tolerance)[1]
