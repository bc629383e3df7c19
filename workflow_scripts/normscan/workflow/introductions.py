"""What plug-ins say of themselves in literals of their files: titles, citations, looks.

Rules get these as parameters. So a changed title makes the report anew and trains nothing again:
``workflow.fingerprint`` leaves these literals out of what counts as code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from normscan.detectors import registry as detectors
from normscan.models import registry as models
from normscan.networks import registry as networks
from normscan.plugins import literals
from normscan.workflow import protocol_fused

REGISTRIES = {"models": models, "networks": networks, "detectors": detectors}


def introduction(kind: str, name: str) -> dict[str, Any]:
    """How the report speaks of one plug-in.

    Parameters
    ----------
    kind : ``models`` (families), ``networks`` or ``detectors``.

    Returns
    -------
    words : ``title`` ("" when it has none), ``page`` (of the documentation), ``cite``
        (keys of references, in order) and ``references`` (key -> ``text``, ``url``) of
        those that the plug-in brings along.
    """
    said = _said_of_detector(name) if kind == "detectors" else _said(kind, name)
    cite = said.get("CITE", [])
    brought = {key: text for key, text in cite.items() if text} if isinstance(cite, dict) else {}
    return {
        "title": said.get("TITLE", ""),
        "page": said.get("PAGE", name),
        "cite": list(cite),
        "references": {key: _reference(text) for key, text in brought.items()},
    }


def _said(kind: str, name: str) -> dict[str, Any]:
    """Literals of a plug-in."""
    return literals(REGISTRIES[kind].FOLDER / f"{name}.py")


def _said_of_detector(name: str) -> dict[str, Any]:
    """Literals of a detector, or of what fused approaches have in its place."""
    if name == protocol_fused.FUSION:
        return literals(protocol_fused.FILE)
    return _said("detectors", name)


def _reference(text: str) -> dict[str, str]:
    """A full reference; an address at its end is its link."""
    before, space, last = text.rpartition(" ")
    if last.startswith("https://"):
        return {"text": before, "url": last}
    return {"text": text, "url": ""}


def introductions(recipes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Introductions of all families, networks and detectors that recipes name.

    Parameters
    ----------
    recipes : of ``workflow.recipes.recipe``.

    Returns
    -------
    kind -> name -> :func:`introduction`.
    """
    found: dict[str, dict[str, Any]] = {kind: {} for kind in REGISTRIES}
    for recipe in recipes:
        for model in recipe["models"].values():
            found["models"][model["family"]] = introduction("models", model["family"])
            if network := model.get("network"):
                found["networks"][network] = introduction("networks", network)
        for one in recipe["approaches"]:
            found["detectors"][one["detector"]] = introduction("detectors", one["detector"])
    return found


def appearance(family: str, detector: str) -> dict[str, Any]:
    """What figures and verdicts need to know of an approach.

    Parameters
    ----------
    family : of its model; "" without one.

    Returns
    -------
    facts : ``family``; ``look`` (colour group: of the family, of the detector where there is no
        model); ``line`` (style of lines); ``expected`` (what the expectation is called);
        ``training_free`` (whether it goes without any model); ``baseline`` (whether all others are
        to beat it: what verdicts go by).
    """
    model = _said("models", family) if family else {}
    said = _said_of_detector(detector)
    baseline = bool(said.get("BASELINE", False))
    own = family or ("baseline" if baseline else detector)
    return {
        "family": family,
        "look": model.get("LOOK") or said.get("LOOK") or own,
        "line": said.get("LINE", "solid"),
        "expected": said.get("EXPECTED", "reconstruction"),
        "training_free": not family and not said.get("USES"),
        "baseline": baseline,
    }
