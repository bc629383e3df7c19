"""The report of a run: one HTML page, with its pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from normscan.figures.orientation import NEUROLOGICAL, words
from normscan.report import sections
from normscan.report.answer import answer_table, asked
from normscan.report.approaches import approach_table
from normscan.report.boards import board
from normscan.report.drawn import figure_groups, key_figures, shown
from normscan.report.embedding import Pictures
from normscan.report.glossary import glossary
from normscan.report.numbers import count
from normscan.report.pages import relative_link, render, web_link

# More leaderboards than these are folded.
UNFOLDED = 4


def build_report(
    content: Mapping[str, Any], folder: str | Path | None = None, *, embed: bool = False
) -> str:
    """The whole page as text; equal content gives equal text.

    Parameters
    ----------
    folder : where the page will lie: pictures but those of the answer, and tables, are linked there
        and loaded when they come into view. None: all pictures are inside, nothing is linked.
    embed : all pictures inside, also with a folder.
    content : every key is optional; a section without content says why it is empty.

        ``title`` : str.
        ``run`` : mapping with ``versions`` {package: version}, ``config`` (shown as YAML),
        ``protocols`` [{name, description, after, differences [str]}], ``fingerprint``
        (str or {name: str}), ``device``, ``seeds``, ``command``.
        ``approaches`` : of ``approaches.approach_rows``. ``metrics`` : path of ``metrics.tsv``.
        ``citation`` : what ``citations.citation`` returns, or a text.
        ``cohorts`` : [{name, role, prior, scans, contrasts, splits {train: n},
        excluded [{scan, reason}]}].
        ``quality`` : [{cohort, table (pandas, column ``scan``), flagged [scan or {scan, reason}],
        overview (PNG), pictures [{scan, png}], protocol, source (path of the table)}].
        ``leaderboards`` : [{cohort, protocol ("" = combined), rows (metrics.tsv rows of this
        cohort), titles, baseline, tests, chosen, prior, scale, unsigned, postprocessing,
          split, flagged [str]}].
        ``orientation`` : of slices (``figures.orientation``).
        ``patients`` : (cohort, protocol) -> index of the pages of test patients, a relative link.
        ``statistics``, ``published``, ``pairs``, ``selection`` : [{title, table (pandas), note,
        source}].
        ``selected`` : what was chosen without labels, in sentences.
        ``figures`` : [{section, title, caption, png, svg, cohort, protocol, name}], PNG as bytes or
        path; ``name`` is that of its file.
        ``storage`` : pandas table stage, files, bytes.
        ``failures`` : [{what, why}].

    Raises
    ------
    NormscanError : a picture is missing or broken; a metrics table lacks columns.
    """
    pictures = Pictures(folder, embed=embed)
    described = list(content.get("approaches") or [])
    linked = {one["key"] for one in described}
    metrics = pictures.link(content["metrics"]) if content.get("metrics") else ""
    patients = {
        which: relative_link(page) for which, page in (content.get("patients") or {}).items()
    }
    boards = [
        board(entry, linked, metrics, patients) for entry in content.get("leaderboards") or []
    ]
    orientation = content.get("orientation") or NEUROLOGICAL
    quality = [
        sections.quality(entry, pictures, orientation) for entry in content.get("quality") or []
    ]
    cohorts = list(content.get("cohorts") or [])
    failures = list(content.get("failures") or [])
    run = content.get("run") or {}
    figures = list(content.get("figures") or [])

    def noted(name: str) -> list[dict[str, Any]]:
        return [sections.noted_table(entry, pictures) for entry in content.get(name) or []]

    return render(
        "report.html",
        beside=pictures.beside,
        title=content.get("title") or "normscan report",
        run=_run(run),
        citation=_citation(content.get("citation") or content.get("citation_text")),
        summary=_summary(boards, cohorts, quality, failures, run),
        asked=asked(boards, cohorts, len(run.get("seeds") or [])),
        answer=answer_table(boards, linked, metrics),
        folded=len([one for one in boards if not one["combined"]]) > UNFOLDED,
        cohort_table=sections.cohort_table(cohorts) if cohorts else None,
        excluded=sections.excluded(cohorts),
        quality=quality,
        boards=boards,
        patients=patients,
        selected=list(content.get("selected") or []),
        # First those of the answer: what is left of the room inside is theirs.
        key=[shown(entry, pictures, key=True) for entry in key_figures(figures, boards)],
        figures=figure_groups(figures, pictures),
        approaches=approach_table(described),
        glossary=glossary(),
        sides=words(orientation),
        storage=sections.storage(content.get("storage")),
        failures=failures,
        metrics=metrics,
        pairs=noted("pairs"),
        statistics=noted("statistics"),
        published=noted("published"),
        selection=noted("selection"),
    )


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
