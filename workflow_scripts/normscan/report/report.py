"""The report of a run: one HTML page that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from normscan.report import sections, tables
from normscan.report.leaderboard import leaderboard, postprocessing_text, prior_text
from normscan.report.numbers import count
from normscan.report.pages import relative_link, render, slug, web_link


def build_report(content: Mapping[str, Any]) -> str:
    """The whole page as text; equal content gives equal text.

    Parameters
    ----------
    content : every key is optional; a section without content says why it is empty.

        ``title`` : str.
        ``run`` : mapping with ``versions`` {package: version}, ``config`` (shown as YAML),
        ``protocols`` [{name, description, after, differences [str]}], ``fingerprint``
        (str or {name: str}), ``device``, ``seeds``, ``command``.
        ``citation`` : what ``citations.citation`` returns, or a text.
        ``cohorts`` : [{name, role, prior, scans, contrasts, splits {train: n},
        excluded [{scan, reason}]}].
        ``quality`` : [{cohort, table (pandas, column ``scan``), flagged [scan or {scan, reason}],
        overview (PNG), pictures [{scan, png}]}].
        ``leaderboards`` : [{cohort, protocol ("" = combined), rows (metrics.tsv rows of this
        cohort), titles, baseline, tests, chosen, prior, scale, unsigned, postprocessing,
          split, flagged [str]}].
        ``patients`` : (cohort, protocol) -> index of the pages of test patients, a relative link.
        ``statistics``, ``published``, ``pairs``, ``selection`` : [{title, table (pandas), note}].
        ``selected`` : what was chosen without labels, in sentences.
        ``figures`` : [{section, title, caption, png, svg, cohort}], PNG as bytes or path.
        ``storage`` : pandas table stage, files, bytes.
        ``failures`` : [{what, why}].

    Raises
    ------
    NormscanError : a picture is missing or broken; a metrics table lacks columns.
    """
    boards = [_board(entry) for entry in content.get("leaderboards") or []]
    quality = [sections.quality(entry) for entry in content.get("quality") or []]
    cohorts = list(content.get("cohorts") or [])
    failures = list(content.get("failures") or [])
    return render(
        "report.html",
        title=content.get("title") or "normscan report",
        run=_run(content.get("run") or {}),
        citation=_citation(content.get("citation") or content.get("citation_text")),
        summary=_summary(boards, cohorts, quality, failures, content.get("run") or {}),
        cohort_table=sections.cohort_table(cohorts) if cohorts else None,
        excluded=sections.excluded(cohorts),
        pairs=[sections.noted_table(entry) for entry in content.get("pairs") or []],
        quality=quality,
        boards=boards,
        patients={
            which: relative_link(page) for which, page in (content.get("patients") or {}).items()
        },
        statistics=[sections.noted_table(entry) for entry in content.get("statistics") or []],
        published=[sections.noted_table(entry) for entry in content.get("published") or []],
        selection=[sections.noted_table(entry) for entry in content.get("selection") or []],
        selected=list(content.get("selected") or []),
        figures=sections.figures(content.get("figures") or []),
        storage=sections.storage(content.get("storage")),
        failures=failures,
    )


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


def _board(entry: Mapping[str, Any]) -> dict[str, Any]:
    board = leaderboard(
        entry["rows"],
        titles=entry.get("titles"),
        baseline=entry.get("baseline") or "",
        tests=entry.get("tests"),
        chosen=entry.get("chosen"),
        split=entry.get("split") or "test",
    )
    protocol = entry.get("protocol") or ""
    known = entry.get("unsigned") or {}
    unsigned = [known[row.approach] for row in board.rows if row.approach in known]
    combined = not protocol and len({row.protocol for row in board.rows}) > 1
    seeds = max((row.seeds for row in board.rows), default=0)
    return {
        "cohort": entry["cohort"],
        "protocol": "all protocols" if combined else protocol,
        "combined": combined,
        "anchor": slug(f"board-{entry['cohort']}-{protocol or 'all'}"),
        "table": tables.board_table(board) if board.rows else None,
        "sentences": board.sentences,
        "flagged": list(entry.get("flagged") or []),
        "best": board.best,
        "verdicts": [row.verdict for row in board.rows],
        "prior": prior_text(entry.get("prior") or "", unsigned),
        "scale": entry.get("scale") or "not stated",
        "postprocessing": (
            "as each protocol says"
            if combined
            else postprocessing_text(entry.get("postprocessing"))
        ),
        "patients": board.patients,
        "seeds": seeds,
        "spread": (
            f"± is the standard deviation over {seeds} seeds"
            if seeds > 1
            else "one seed: small differences may be chance"
        ),
    }


def _summary(boards, cohorts, quality, failures, run) -> dict[str, Any]:
    excluded = sum(len(cohort.get("excluded") or []) for cohort in cohorts)
    flagged = sum(len(entry["flagged"]) for entry in quality)
    scans = sum(int(cohort.get("scans") or 0) for cohort in cohorts)
    facts = [
        (count(len(cohorts), "cohort"), count(scans, "scan")),
        (count(excluded, "scan") + " excluded", f"{flagged} flagged by quality control"),
    ]
    if run.get("protocols"):
        names = ", ".join(str(protocol["name"]) for protocol in run["protocols"])
        facts.append((count(len(run["protocols"]), "protocol"), names))
    if run.get("seeds"):
        device = f"device {run['device']}" if run.get("device") else ""
        facts.append((count(len(run["seeds"]), "seed"), device))
    if failures:
        facts.append((count(len(failures), "failure"), "see Failures"))
    return {"facts": facts, "boards": [board for board in boards if not board["combined"]]}


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    config = run.get("config")
    fingerprint = run.get("fingerprint") or {}
    if not isinstance(fingerprint, Mapping):
        fingerprint = {"code": fingerprint}
    facts = [
        ("command", run.get("command")),
        ("device", run.get("device")),
        ("seeds", ", ".join(map(str, run.get("seeds") or []))),
        *((f"fingerprint, {name}", value) for name, value in fingerprint.items()),
    ]
    return {
        "facts": [(name, str(value)) for name, value in facts if value],
        "versions": [(name, str(value)) for name, value in (run.get("versions") or {}).items()],
        "protocols": list(run.get("protocols") or []),
        "config": (
            yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True, width=100)
            if config
            else ""
        ),
    }


def _plain(value: Any) -> Any:
    """What YAML can write."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.item() if hasattr(value, "item") else str(value)


def _citation(given: Any) -> dict[str, Any]:
    if not given:
        return {"text": "", "references": []}
    if isinstance(given, str):
        return {"text": given, "references": []}
    references = [
        {"key": entry["key"], "text": entry["text"], "url": web_link(entry.get("url") or "")}
        for entry in given["references"]
    ]
    return {"text": given["text"], "references": references}
