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
    return {key: contrasts if one == A_CONTRAST else one for key, one in found.items()}
