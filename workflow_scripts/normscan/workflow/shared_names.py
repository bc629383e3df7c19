"""Names that protocols share: results are shared by name, so each must mean the same in all."""

from __future__ import annotations

from collections.abc import Mapping

from normscan.workflow.protocols import Protocol


def shared_name_problems(protocols: Mapping[str, Protocol]) -> list[str]:
    """A name that two protocols share must mean the same, since results are shared by name."""
    problems = []
    for kind in ("models", "approaches"):
        seen: dict[str, tuple[str, list]] = {}
        for protocol in protocols.values():
            for name in getattr(protocol, kind):
                meant = _meaning(protocol, kind, name)
                first, other = seen.setdefault(name, (protocol.name, meant))
                if other == meant:
                    continue
                what = "differs from" if other[0] != meant[0] else "stands on others than"
                problems.append(
                    f"protocol '{protocol.name}'.{kind}.{name}: {what} the one of the same name in "
                    f"protocol '{first}'; give it another name"
                )
    return problems


def _meaning(protocol: Protocol, kind: str, name: str) -> list:
    """A model or an approach, and all that it stands on, whose names are a part of it.

    Were these left out, a name that must change would be reported only when theirs have changed.
    """
    one = getattr(protocol, kind)[name]
    models = one.uses.values() if kind == "models" else one.models
    parts = [("models", used) for used in models]
    if kind == "models":
        parts += [("approaches", one.labels.approach)] if one.labels else []
    else:
        parts += [("approaches", part.name) for part in one.parts]
    return [one, *(_meaning(protocol, *part) for part in parts)]
