"""Labels of preprocessing steps in paths: readable, and different for different settings."""

from __future__ import annotations

import re
from typing import Any

from normscan.files import value_digest

# Settings that a label spells out, in this order; all others go into the digest.
SPELLED = {
    "register": ("transform", "atlas", "spacing"),
    "strip_skull": ("method",),
    "correct_bias": ("method",),
    "denoise": ("method",),
    "segment_tissue": ("output",),
}
UNITS = {"spacing": "{}mm", "percentile": "p{}"}
SAFE = re.compile(r"[A-Za-z0-9.]+")


def step_label(step: str, settings: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Label of a step, such as ``register-affine-robex-2mm`` or ``normalise-p98``.

    Parameters
    ----------
    step : name of the step's module.
    settings : every setting of the step.
    defaults : every setting's default; a setting that is not spelled out and differs from its
        default adds ``-`` and four hexadecimal digits.

    Returns
    -------
    label : letters, digits, ``.``, ``-`` and ``_``; equal for equal settings only (up to a
        collision of 16-bit digests).
    """
    parts, rest = [step], {}
    spelled = _spelled(step, settings)
    for key in spelled:
        value = settings.get(key)
        text = _text(value)
        if SAFE.fullmatch(text):
            parts.append(UNITS.get(key, "{}").format(text))
        elif value is not None:
            rest[key] = value
    for key, value in settings.items():
        if key not in spelled and value != defaults.get(key):
            rest[key] = value
    if rest:
        parts.append(value_digest(rest)[:4])
    return "-".join(parts)


def _spelled(step: str, settings: dict[str, Any]) -> tuple[str, ...]:
    if step == "normalise":
        # "normalise-p98" says it all; for other methods the percentile means nothing.
        return ("percentile",) if settings.get("method") == "percentile" else ("method",)
    return SPELLED.get(step, ())


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
