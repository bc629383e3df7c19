"""What plug-ins say of themselves, as far as planning asks; read, never imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normscan.plugins import literals
from normscan.workflow.training_sets import MAIN

LIBRARY = Path(__file__).resolve().parents[1]
# Stands in a plug-in's ``ALLOWED`` for the contrasts of the protocol.
A_CONTRAST = "a contrast"


def _of(room: str, name: str) -> dict[str, Any]:
    return literals(LIBRARY / room / f"{name}.py")


def allowed(room: str, name: str, contrasts: list[str]) -> dict[str, Any]:
    """What a plug-in allows its settings to be in a protocol of these contrasts."""
    found = _of(room, name).get("ALLOWED", {})
    return {key: contrasts if one == A_CONTRAST else one for key, one in found.items()}


def streams(family: str) -> tuple[str, ...]:
    """Streams that a family is trained on."""
    return tuple(_of("models", family).get("STREAMS", (MAIN,)))


def uses(room: str, name: str) -> dict[str, set[str]]:
    """Roles of the models that a family or detector uses -> what each must be able to do."""
    return {role: set(needs) for role, needs in _of(room, name).get("USES", {}).items()}


def translates(family: str) -> bool:
    """Whether a family's targets may differ from its inputs, and slices beside be inputs."""
    return bool(_of("models", family).get("TRANSLATES", False))


def needed_parts(family: str) -> set[str]:
    """Parts that a family needs of its network."""
    return set(_of("models", family).get("PARTS", ()))


def network_parts(network: str) -> set[str]:
    """Parts that a network has."""
    found = _of("networks", network)
    if "PARTS" in found:
        return set(found["PARTS"])
    return {"encoder", "decoder"} | ({"critic"} if found.get("CRITIC") else set())
