"""What every approach of a run is: its model, its detector, and the page that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normscan.report import tables
from normscan.report.pages import anchor

# What goes without a model, and detectors of any model.
OVERVIEW = "docs/approaches.md"


def documentation(family: str, plugins: Mapping[str, Any]) -> str:
    """The page of a family, from the root of the repository; without one that of all approaches."""
    if not family:
        return OVERVIEW
    return f"docs/models/{plugins.get('models', {}).get(family, {}).get('page', family)}.md"


def approach_rows(protocols: Mapping[str, Any], plugins: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row per approach: ``key`` (``protocol/variant``), and words on it.

    Parameters
    ----------
    protocols : name -> record of ``workflow.plan.report``.
    plugins : kind -> name -> ``title`` and ``page``, of ``workflow.introductions``.
    """
    found = {}
    for protocol, record in protocols.items():
        for one in record["approaches"]:
            family, detector = one.get("family", ""), one["detector"]
            key = f"{protocol}/{one['variant']}"
            # One row for all seeds.
            found[key] = {
                "key": key,
                "approach": one["title"],
                "protocol": protocol,
                "model": _called(plugins, "models", family) if family else "none",
                "network": _called(plugins, "networks", one.get("network") or ""),
                "detector": _called(plugins, "detectors", detector),
                "described in": documentation(family, plugins),
            }
    return list(found.values())


def _called(plugins: Mapping[str, Any], kind: str, name: str) -> str:
    """What a plug-in calls itself; its name where it says nothing."""
    return plugins.get(kind, {}).get(name, {}).get("title") or name


def approach_table(rows: list[dict[str, str]]) -> dict | None:
    """The table that leaderboards link to; None without any approach."""
    if not rows:
        return None
    names = [name for name in rows[0] if name not in ("key", "approach")]
    return tables.table(
        [{"label": name} for name in ("approach", *names)],
        [
            [
                tables.cell(one["approach"], anchor=anchor(one["key"])),
                *(tables.cell(one[name] or "–") for name in names),
            ]
            for one in rows
        ],
    )
