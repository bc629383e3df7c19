"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any, decimals: int = 3) -> str:
    """Fixed decimals; scientific where they would hide the value; ``–`` for missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    value = float(value)
    if value and (abs(value) < 5 * 10.0 ** -(decimals + 1) or abs(value) >= 1e6):
        return f"{value:.2e}"
    return f"{value:,.{decimals}f}"


def signed(value: float) -> str:
    """Three decimals with a sign, as differences are written."""
    return f"{value:+.3f}".replace("-", "−")


def difference(value: float, low: float, high: float) -> str:
    """``+0.106 [+0.090, +0.122]``; without an interval where it is not known."""
    known = math.isfinite(low) and math.isfinite(high)
    return signed(value) + (f" [{signed(low)}, {signed(high)}]" if known else "")


def plus_minus(spread: float) -> str:
    """``± 0.012``; empty where nothing varies or where there is one value only."""
    if not math.isfinite(spread) or abs(spread) < 1e-9:
        return ""
    return f"±\u00a0{number(spread)}"


def size(count: float) -> str:
    """Bytes with a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plain(value: Any) -> str:
    """A table cell: integers whole, floats with as many digits as they need, missing as ``–``."""
    if value is None:
        return "–"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, (list, tuple, set)):
        return ", ".join(plain(part) for part in value) or "–"
    return str(value) or "–"


def count(amount: int, thing: str) -> str:
    """``1 scan``, ``3 scans``."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def listing(words) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = list(words)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
