"""Leaderboards of a report: one per cohort and protocol, ready for the template."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from normscan.report import tables
from normscan.report.leaderboard import leaderboard, postprocessing_text, prior_text
from normscan.report.pages import board_anchor


def leaderboard_sections(
    metrics,
    *,
    titles: Mapping[str, str] | None = None,
    baselines: Mapping[str, Any] | None = None,
    tests: Mapping[str, Any] | None = None,
    chosen: Mapping[str, Mapping[str, str]] | None = None,
    priors: Mapping[str, str] | None = None,
    unsigned: Mapping[str, str] | None = None,
    postprocessing: Mapping[str, Any] | None = None,
    scales: Mapping[str, str] | None = None,
    split: str = "test",
) -> list[dict[str, Any]]:
    """Cut the whole of ``metrics.tsv`` into the ``leaderboards`` of a report.

    One entry per cohort and protocol; and for a cohort that several protocols score, a combined
    one before them.

    Parameters
    ----------
    titles : ``protocol/approach`` -> title. baselines : protocol -> those that others are to beat.
    tests : protocol -> paired tests over patients (``evaluation.study.comparisons``), all cohorts.
    chosen : protocol -> cohort -> the baseline that was chosen without labels.
    priors : cohort -> sign prior. postprocessing : protocol -> settings.
    scales : protocol -> scale of the intensities in words (``preprocessing.scale_of``).
    unsigned : ``protocol/approach`` -> title, of approaches whose maps have no sign.
    """
    protocol_of = metrics["approach"].astype(str).str.rpartition("/")[0]
    made = []
    for cohort in dict.fromkeys(metrics["cohort"]):
        here = metrics["cohort"] == cohort
        protocols = list(dict.fromkeys(protocol_of[here]))
        for protocol in ([""] if len(protocols) > 1 else []) + protocols:
            own = here & (protocol_of == protocol) if protocol else here
            made.append(
                {
                    "cohort": cohort,
                    "protocol": protocol,
                    "rows": metrics[own],
                    "titles": titles or {},
                    "baseline": baselines or {},
                    "tests": _tests_of(cohort, tests or {}),
                    "chosen": {
                        name: of[cohort] for name, of in (chosen or {}).items() if cohort in of
                    },
                    "prior": _prior(
                        (priors or {}).get(cohort, ""),
                        {one: (postprocessing or {}).get(one) for one in protocols},
                        protocol,
                    ),
                    "scale": _scale(scales or {}, [protocol] if protocol else protocols),
                    "unsigned": unsigned or {},
                    "postprocessing": (postprocessing or {}).get(protocol, ""),
                    "split": split,
                }
            )
    return made


def _prior(cohorts: str, postprocessing: Mapping[str, Any], protocol: str) -> str:
    """The sign prior of a board: its protocol's own, or the cohort's; in words where both occur."""
    own = {
        name: one["prior"]
        for name, one in postprocessing.items()
        if isinstance(one, Mapping) and one.get("prior")
    }
    if protocol or not own:
        return own.get(protocol, cohorts)
    said = ", ".join(f"{prior} in {name}" for name, prior in own.items())
    return f"{cohorts or 'not stated'} (the cohort's), but {said}"


def _scale(scales: Mapping[str, str], protocols: Sequence[str]) -> str:
    """The scale of intensities of a board, with its protocols where they differ."""
    known = {name: scales[name] for name in protocols if name in scales}
    if len(set(known.values())) <= 1:
        return next(iter(known.values()), "not stated")
    return "; ".join(f"{scale} in {name}" for name, scale in known.items())


def _tests_of(cohort: str, tests: Mapping[str, Any]) -> dict[str, Any]:
    """The tests on one cohort."""
    return {protocol: table[table["cohort"] == cohort] for protocol, table in tests.items()}


def board(
    entry: Mapping[str, Any],
    linked: Container[str] = (),
    download: str = "",
    patients: Mapping[tuple[str, str], str] | None = None,
) -> dict[str, Any]:
    """One leaderboard, ready for the template.

    Parameters
    ----------
    entry : of :func:`leaderboard_sections`.
    linked : ``protocol/approach`` of those that the page describes.
    download : where the values stand, a link.
    patients : (cohort, protocol) -> pages of test patients, a link.
    """
    made = leaderboard(
        entry["rows"],
        titles=entry.get("titles"),
        baseline=entry.get("baseline") or "",
        tests=entry.get("tests"),
        chosen=entry.get("chosen"),
        split=entry.get("split") or "test",
    )
    protocol = entry.get("protocol") or ""
    known = entry.get("unsigned") or {}
    unsigned = [known[row.approach] for row in made.rows if row.approach in known]
    combined = not protocol and len({row.protocol for row in made.rows}) > 1
    seeds = max((row.seeds for row in made.rows), default=0)
    pages = {name: page for (of, name), page in (patients or {}).items() if of == entry["cohort"]}
    return {
        "cohort": entry["cohort"],
        "protocol": "all protocols" if combined else protocol,
        "combined": combined,
        "anchor": board_anchor(entry["cohort"], protocol),
        "table": tables.board_table(made, linked, download, pages) if made.rows else None,
        "sentences": made.sentences,
        "flagged": list(entry.get("flagged") or []),
        "best": made.best,
        "rows": made.rows,
        "prior": prior_text(entry.get("prior") or "", unsigned),
        "scale": entry.get("scale") or "not stated",
        "postprocessing": (
            "as each protocol says"
            if combined
            else postprocessing_text(entry.get("postprocessing"))
        ),
        "patients": made.patients,
        "seeds": seeds,
        "spread": (
            f"± is the standard deviation over {seeds} seeds"
            if seeds > 1
            else "one seed: small differences may be chance"
        ),
    }
