"""What the sections of a report show, made ready for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normscan.figures.orientation import NEUROLOGICAL, RADIOLOGICAL, words
from normscan.report import tables
from normscan.report.embedding import Pictures
from normscan.report.glossary import QUALITY
from normscan.report.numbers import count, listing, plain, size

_PICTURE_LIMIT = 24


def cohort_table(cohorts: Sequence[Mapping[str, Any]]) -> dict:
    """Roles, priors, contrasts and splits of all cohorts."""
    parts = list(dict.fromkeys(part for cohort in cohorts for part in cohort.get("splits") or {}))
    columns = [
        {"label": "cohort"},
        {"label": "role"},
        {"label": "sign prior"},
        {"label": "contrasts"},
        {"label": "scans", "numeric": True},
        *({"label": f"{part} (subjects)", "numeric": True} for part in parts),
        {"label": "excluded", "numeric": True},
    ]
    rows = []
    for cohort in cohorts:
        contrasts = cohort.get("contrasts") or ""
        excluded = len(cohort.get("excluded") or [])
        rows.append(
            [
                tables.cell(str(cohort["name"]), kind="name"),
                tables.cell(plain(cohort.get("role"))),
                tables.cell(plain(cohort.get("prior"))),
                tables.cell(plain(contrasts)),
                tables.cell(plain(cohort.get("scans")), cohort.get("scans")),
                *(
                    tables.cell(plain(value), value)
                    for value in ((cohort.get("splits") or {}).get(part) for part in parts)
                ),
                tables.cell(str(excluded), excluded, "flagged" if excluded else ""),
            ]
        )
    return tables.table(columns, rows)


def excluded(cohorts: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(cohort, scan, reason) of every scan that was left out."""
    return [
        (str(cohort["name"]), str(entry["scan"]), str(entry["reason"]))
        for cohort in cohorts
        for entry in cohort.get("excluded") or []
    ]


def quality(
    entry: Mapping[str, Any], pictures: Pictures, orientation: str = NEUROLOGICAL
) -> dict[str, Any]:
    """Quality control of one cohort; flagged scans come first, and not all pictures are shown.

    Its pictures have the patient's left on the left; the page turns them for radiologists.
    """
    flagged = [
        item if isinstance(item, Mapping) else {"scan": item, "reason": ""}
        for item in entry.get("flagged") or []
    ]
    names = {str(item["scan"]) for item in flagged}
    given = sorted(entry.get("pictures") or [], key=lambda item: str(item["scan"]) not in names)
    shown = given[: max(_PICTURE_LIMIT, len(names))]
    frame = entry.get("table")
    overview = entry.get("overview")
    source = entry.get("source")
    return {
        "cohort": str(entry["cohort"]),
        "protocol": str(entry.get("protocol") or ""),
        "table": None
        if frame is None
        else tables.frame_table(
            frame, QUALITY, names, "scan", pictures.link(source) if source else ""
        ),
        "flagged": flagged,
        "overview": pictures.shown({"png": overview, "svg": entry.get("overview_svg")})
        if overview
        else None,
        "pictures": [
            {
                "scan": str(item["scan"]),
                "flagged": str(item["scan"]) in names,
                **pictures.shown(item),
            }
            for item in shown
        ],
        "left_out": len(given) - len(shown),
        "turned": orientation == RADIOLOGICAL,
        "sides": words(orientation)
        + (" Their files have it on the left." if orientation == RADIOLOGICAL else ""),
    }


def lost_lesions(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What to say of lesions that are too small for the slices, a line per scan.

    Parameters
    ----------
    entries : quality control of a cohort under a protocol: ``cohort``, ``protocol``,
        ``lost_lesions`` [{scan, lesions, ml}].

    Returns
    -------
    [{what, why}] : once for all protocols that lose the same.
    """
    protocols: dict[tuple, list[str]] = {}
    for entry in entries:
        for one in entry.get("lost_lesions") or []:
            key = (str(entry["cohort"]), str(one["scan"]), int(one["lesions"]), float(one["ml"]))
            protocols.setdefault(key, []).append(str(entry["protocol"]))
    found = []
    for (cohort, scan, lesions, ml), names in protocols.items():
        together, are = ("together ", "are") if lesions > 1 else ("", "is")
        found.append(
            {
                "what": f"cohort {cohort}: {scan}",
                "why": f"{count(lesions, 'lesion')} of {together}{plain(ml)} ml {are} lost on the "
                f"slice grid of protocol {listing(names)} and cannot be found by any approach; "
                "recall is of the other lesions",
            }
        )
    return found


def undetermined_weights(tuned: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """What to say of weights of the total variation that healthy scans do not determine.

    Parameters
    ----------
    tuned : approach in words -> what its tuning found: ``settings``, ``how``, ``reason``.

    Returns
    -------
    [{what, why}].
    """
    return [
        {
            "what": f"the weight of the total variation of {title} was not determined by healthy "
            "scans",
            "why": f"{one['reason']}; the published one is taken, "
            f"{one['settings']['tv_weight']:g} at this size of slices",
        }
        for title, one in tuned.items()
        if one["how"] == "fallback"
    ]


def noted_table(entry: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    """One table with a note; ``source``, the file that it comes from, is linked."""
    source = entry.get("source")
    return {
        "title": str(entry["title"]),
        "note": str(entry.get("note") or ""),
        "table": tables.frame_table(
            entry["table"], download=pictures.link(source) if source else ""
        ),
    }


def storage(frame) -> dict | None:
    """How much each stage holds."""
    if frame is None or not len(frame):
        return None
    made = tables.frame_table(frame)
    if "bytes" in frame.columns:
        place = list(frame.columns).index("bytes")
        for row in made["rows"]:
            if row[place]["value"] is not None:
                row[place]["text"] = size(row[place]["value"])
    return made
