"""What pages say of scans that quality control flagged: a mark beside each result they touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from normscan.files import read_json
from normscan.preprocessing.flags import BY_QUALITY, flagged_scans
from normscan.report.numbers import count, listing

EXCLUDE = "exclude"
# Scans that a mark names; the section on quality control has all.
NAMED = 3
# (protocol, cohort) -> scan -> reason.
Flags = Mapping[tuple[str, str], Mapping[str, str]]


def read_flags(paths: Iterable[str]) -> dict[tuple[str, str], dict[str, str]]:
    """Flags of cohorts under protocols, from files of ``check_quality``."""
    found = [read_json(path) for path in paths]
    return {(one["protocol"], one["cohort"]): flagged_scans(one) for one in found}


def with_flags(
    content: Mapping[str, Any], flags: Flags, record: Mapping[str, Any]
) -> dict[str, Any]:
    """What a report shows, with marks on leaderboards and what was left out among the excluded.

    Parameters
    ----------
    content : ``leaderboards`` and ``cohorts``, as of ``report.build_report``.
    record : of the run: ``protocols``, ``on_flagged``.
    """
    out = flags if record["on_flagged"] == EXCLUDE else {}
    boards = with_marks(content["leaderboards"], flags, record["protocols"], record["on_flagged"])
    cohorts = []
    for cohort in content["cohorts"]:
        known = {one["scan"] for one in cohort["excluded"]}
        more = [one for one in left_out(out, cohort["name"]) if one["scan"] not in known]
        cohorts.append({**cohort, "excluded": [*cohort["excluded"], *more]})
    return {**content, "leaderboards": boards, "cohorts": cohorts}


def left_out(flags: Flags, cohort: str) -> list[dict[str, str]]:
    """[{scan, reason}] of a cohort's scans that were left out of packs for their flags."""
    protocols: dict[tuple[str, str], list[str]] = {}
    for (protocol, name), scans in flags.items():
        for scan, reason in scans.items() if name == cohort else ():
            protocols.setdefault((scan, reason), []).append(protocol)
    return [
        {"scan": scan, "reason": f"{BY_QUALITY}, protocol {listing(names)}: {reason}"}
        for (scan, reason), names in protocols.items()
    ]


def with_marks(
    boards: Iterable[dict[str, Any]],
    flags: Flags,
    protocols: Mapping[str, Mapping[str, Any]],
    on_flagged: str,
) -> list[dict[str, Any]]:
    """Leaderboards with ``flagged``, sentences on the flagged scans that their numbers rest on.

    Parameters
    ----------
    boards : with ``cohort`` and ``protocol`` ("" = several).
    protocols : name -> record: ``used`` names all cohorts, ``cohorts`` those that are evaluated,
        ``streams`` those that models are trained on.
    on_flagged : as configured.
    """
    made = []
    for board in boards:
        own = [board["protocol"]] if board["protocol"] else list(protocols)
        sentences = [_sentence(board["cohort"], one, flags, protocols, on_flagged) for one in own]
        told = zip(own, sentences)
        named = [f"{name}: {one}" if len(own) > 1 else one for name, one in told if one]
        made.append({**board, "flagged": named})
    return made


def _sentence(
    cohort: str, protocol: str, flags: Flags, protocols: Mapping[str, Any], on_flagged: str
) -> str:
    """Of the cohort's own scans, and of those that models and thresholds come from."""
    record = protocols[protocol]
    trained = {name for one in record["streams"].values() for name in one["cohorts"] or ()}
    other = [
        name
        for name in record["used"]
        if name != cohort and (name in trained or name not in record["cohorts"])
    ]
    own = dict(flags.get((protocol, cohort), {}))
    beside = {
        f"{name}/{scan}": reason
        for name in other
        for scan, reason in flags.get((protocol, name), {}).items()
    }
    parts = [_part(own, "of this cohort")] if own else []
    parts += [_part(beside, "of those that models and thresholds come from")] if beside else []
    if not parts:
        return ""
    done = "left out" if on_flagged == EXCLUDE else "used all the same"
    return f"Flagged by quality control, and {done}: {'; '.join(parts)}."


def _part(scans: Mapping[str, str], which: str) -> str:
    named = [f"{scan}: {reason}" for scan, reason in list(scans.items())[:NAMED]]
    more = len(scans) - NAMED
    rest = f"; {more} more" if more > 0 else ""
    return f"{count(len(scans), 'scan')} {which} ({'; '.join(named)}{rest})"


def flag_notes(flagged: Mapping[str, str], scan: str) -> list[str]:
    """What a scan's own page says; nothing of one that is not flagged."""
    if scan not in flagged:
        return []
    return [f"Flagged by quality control: {flagged[scan]}. Look at it before its results."]
