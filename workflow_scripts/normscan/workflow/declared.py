"""What plug-ins allow their settings to be in a protocol; read from their files, never imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normscan.plugins import literals

LIBRARY = Path(__file__).resolve().parents[1]
# Stands in a plug-in's ``ALLOWED`` for the contrasts of the protocol.
A_CONTRAST = "a contrast"


def allowed(room: str, name: str, contrasts: list[str]) -> dict[str, Any]:
    """What a plug-in of a room allows its settings to be in a protocol of these contrasts."""
    found = literals(LIBRARY / room / f"{name}.py").get("ALLOWED", {})
    return {key: _with_contrasts(one, contrasts) for key, one in found.items()}


def _with_contrasts(one: Any, contrasts: list[str]) -> Any:
    """An entry with contrasts in the place of :data:`A_CONTRAST`, as its value or its key."""
    if isinstance(one, dict) and A_CONTRAST in one:
        return dict.fromkeys(contrasts, one[A_CONTRAST])
    return contrasts if one == A_CONTRAST else one
