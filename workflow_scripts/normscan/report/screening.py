"""Pages of scans: one each, made to be judged in a minute, and an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from normscan.figures.orientation import NEUROLOGICAL, words
from normscan.report import tables
from normscan.report.embedding import picture
from normscan.report.glossary import page_terms
from normscan.report.leaderboard import postprocessing_text, prior_text
from normscan.report.numbers import count, number, plain
from normscan.report.pages import anchor, relative_link, render, slug

_COMPONENTS = {
    "component": "component",
    "volume_ml": "volume (ml)",
    "volume_mm3": "volume (mm³)",
    "voxels": "voxels",
    "mean_score": "mean score",
    "max_score": "highest score",
    **{f"{axis}_mm": f"{axis} (mm)" for axis in "xyz"},
    **{f"atlas_{axis}_mm": f"atlas {axis} (mm)" for axis in "xyz"},
}
_VOLUMES = ("volume_ml", "volume_mm3", "voxels")
# What ids of the page itself and of its viewer begin with.
RESERVED = ("main", "terms", "viewer")


def build_scan_page(content: Mapping[str, Any]) -> str:
    """The page of one scan, screened or of a test patient.

    Parameters
    ----------
    content :
        ``cohort``, ``scan`` : names. ``contrast``, ``heading`` (what the page is of) : optional.
        ``results`` : one mapping per approach that screened the scan: ``title``; ``model``,
        ``detector``, ``protocol``, ``seed``, ``prior``, ``postprocessing`` (all optional);
        ``variant``, with which the report calls it; ``scores`` [(value, of what)]; ``picture``
        {png, svg} with ``caption`` and ``downloads`` [(kind, relative link)];
        ``components`` (pandas table, sorted here by volume, largest first), in native space on the
        grid of ``contrast``; of its ``atlas_`` columns only the centre is shown; ``table``, a
        relative link to it;
        ``thresholds`` [{rule, value, false_positive_rate, used}];
        ``numbers`` {name: value}; ``files`` [{title, href}], relative to the page.
        ``versions`` {package: version}; ``notes`` [str], what a reader must know (quality flags);
        ``orientation`` : of its slices. ``truth`` : whether lesions are known.
        ``index``, ``previous``, ``next`` : relative links; ``report`` : one to the report, and
        ``board``, the id of its leaderboard there.
        ``viewer`` : what the viewer shows (``viewer.viewer_content``); its ``library`` is a
        relative link. Without it there is none.

    Raises
    ------
    NormscanError : a link is not relative; a picture is missing or broken.
    """
    viewer = content.get("viewer")
    home = _home(content)
    return render(
        "scan.html",
        sides=words(content.get("orientation") or NEUROLOGICAL),
        viewer=viewer and {**viewer, "library": relative_link(viewer["library"])},
        cohort=str(content["cohort"]),
        scan=str(content["scan"]),
        heading=str(content.get("heading") or f"Screening of cohort {content['cohort']}"),
        contrast=str(content.get("contrast") or ""),
        results=named(content.get("results") or [], home),
        versions=list((content.get("versions") or {}).items()),
        notes=list(content.get("notes") or []),
        links=[
            (name, relative_link(content[key]))
            for key, name in (("index", "All scans"), ("previous", "Previous"), ("next", "Next"))
            if content.get(key)
        ]
        + _back(home, content.get("board")),
        terms=page_terms(bool(content.get("truth"))),
    )


def build_index_page(content: Mapping[str, Any]) -> str:
    """The index of a screened cohort, or of the test patients of one.

    Parameters
    ----------
    content :
        ``cohort``; ``scans`` : [{scan, page (relative link), approach, components (number),
        volume_ml, largest_ml, max_score, volume_above_ml, percentile, dice, false_ml, missed,
        lesions, lesion_ml, thumbnail (PNG bytes or path, optional), note}];
        ``excluded`` [{scan, reason}], None: nothing is said of it; ``facts`` {name: value};
        ``heading``, ``said`` : what the page is of; ``nothing`` : said where there is no scan.
        ``orientation``, ``report``, ``board`` : as of :func:`build_scan_page`.

    Raises
    ------
    NormscanError : a link is not relative.
    """
    scans = list(content.get("scans") or [])
    return render(
        "index.html",
        cohort=str(content["cohort"]),
        table=_index_table(scans) if scans else None,
        heading=str(content.get("heading") or f"Screening of {content['cohort']}"),
        nothing=str(content.get("nothing") or "No scan was screened."),
        said=str(content.get("said") or _said(scans)),
        thumbnails=[
            {
                "scan": str(entry["scan"]),
                "page": relative_link(entry["page"]),
                **picture({"png": entry["thumbnail"]}),
            }
            for entry in scans
            if entry.get("thumbnail")
        ],
        excluded=content.get("excluded", []),
        facts=[(name, plain(value)) for name, value in (content.get("facts") or {}).items()],
        sides=words(content.get("orientation") or NEUROLOGICAL),
        links=_back(_home(content), content.get("board")),
        terms=page_terms(any(entry.get("dice") is not None for entry in scans)),
    )


def _said(scans) -> str:
    total = {str(entry["scan"]) for entry in scans}
    found = {str(entry["scan"]) for entry in scans if entry.get("components")}
    return f"{count(len(total), 'scan')}, {len(found)} with detections."


def told_apart(titles: Sequence[tuple[str, str]]) -> list[str]:
    """Titles of approaches; of those that several have, with its protocol.

    Parameters
    ----------
    titles : title and protocol of each.
    """
    protocols: dict[str, set[str]] = {}
    for title, protocol in titles:
        protocols.setdefault(title, set()).add(protocol)
    return [
        f"{title} ({protocol})" if protocol and len(protocols[title]) > 1 else title
        for title, protocol in titles
    ]


def named(entries: Sequence[Mapping[str, Any]], home: str = "") -> list[dict[str, Any]]:
    """Sections of a page, each under a name and an id that no other has."""
    titles = told_apart([(str(one["title"]), str(one.get("protocol") or "")) for one in entries])
    made, taken = [], set[str]()
    for entry, title in zip(entries, titles):
        first, times = slug(title), 1
        own = first = f"approach-{first}" if first.startswith(RESERVED) else first
        while {own, f"{own}-title"} & taken:
            times += 1
            own = f"{first}-{times}"
        taken |= {own, f"{own}-title"}
        made.append({**_result(entry, title, home), "anchor": own})
    return made


def _home(content: Mapping[str, Any]) -> str:
    """The report that a page belongs to, a relative link; empty where there is none."""
    return relative_link(content["report"]) if content.get("report") else ""


def _back(home: str, board: Any) -> list[tuple[str, str]]:
    """Links from a page to the report and to its leaderboard."""
    if not home:
        return []
    return [("Report", home), ("Leaderboard", f"{home}#{board or 'leaderboards'}")]


def _result(entry: Mapping[str, Any], title: str, home: str) -> dict[str, Any]:
    components = entry.get("components")
    used = next((rule for rule in entry.get("thresholds") or [] if rule.get("used")), None)
    facts = [(name, entry.get(name)) for name in ("protocol", "model", "detector", "seed")]
    facts += [("sign prior", prior_text(entry["prior"]))] if entry.get("prior") else []
    if entry.get("postprocessing"):
        facts.append(("post-processing", postprocessing_text(entry["postprocessing"])))
    facts += list((entry.get("numbers") or {}).items())
    return {
        "title": title,
        "about": (
            f"{home}#{anchor(entry['protocol'] + '/' + entry['variant'])}"
            if home and entry.get("variant")
            else ""
        ),
        "headline": _headline(components, used),
        "scores": list(entry.get("scores") or []),
        "facts": [(name, plain(value)) for name, value in facts if value is not None],
        "picture": _picture(entry["picture"]) if entry.get("picture") else None,
        "caption": str((entry.get("picture") or {}).get("caption") or ""),
        "contrast": str(entry.get("contrast") or ""),
        "components": (
            None
            if components is None or components.empty
            else _components(components, entry.get("table") or "")
        ),
        "thresholds": _thresholds(entry.get("thresholds") or []),
        "files": [
            (str(file["title"]), relative_link(file["href"])) for file in entry.get("files") or []
        ],
    }


def _picture(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A figure inside of the page, and its files beside it."""
    beside = [(kind, relative_link(href)) for kind, href in entry.get("downloads") or []]
    return picture(entry) | {"downloads": beside}


def beside(folder: Path, *files: str | Path) -> list[tuple[str, str]]:
    """Files below the folder of a page as downloads: kind (``PNG``) and link."""
    found = [Path(one) for one in files]
    return [(one.suffix[1:].upper(), quote(one.relative_to(folder).as_posix())) for one in found]


def _headline(components, used: Mapping[str, Any] | None) -> str:
    if components is None:
        return "No component table was made."
    said = (
        f"{count(len(components), 'component')} detected" if len(components) else "Nothing detected"
    )
    volume = _volume(components)
    if len(components) and volume in ("volume_ml", "volume_mm3"):
        unit = 1 if volume == "volume_ml" else 1000
        said += f", {number(components[volume].sum() / unit, 2)} ml together"
        said += f", the largest {number(components[volume].max() / unit, 2)} ml"
        if unseen := int((components[volume] == 0).sum()):
            are = "is" if unseen == 1 else "are"
            said += f" ({unseen} {are} too small for the scan's own voxels, or outside of its grid)"
    rate = used.get("false_positive_rate") if used else None
    if rate is not None:
        share = f"{number(100 * rate, 2)}\u00a0%"
        said += f", at a threshold that marks {share} of healthy voxels"
    return said + "."


def _volume(components) -> str:
    return next((name for name in _VOLUMES if name in components.columns), "")


def _components(components, download: str = "") -> dict:
    volume = _volume(components)
    if volume:
        components = components.sort_values(volume, ascending=False, kind="stable")
    hidden = [name for name in components if name.startswith("atlas_") and name not in _COMPONENTS]
    link = relative_link(download) if download else ""
    return tables.frame_table(components.drop(columns=hidden), _COMPONENTS, download=link)


def _thresholds(rules) -> dict | None:
    from normscan.figures.labels import rule_label

    if not rules:
        return None
    columns = [
        {"label": "threshold rule"},
        {"label": "score", "numeric": True},
        {
            "label": "false positives on healthy voxels",
            "numeric": True,
            "note": "share of healthy voxels above the threshold",
        },
        {"label": "used here"},
    ]
    rows = []
    for rule in rules:
        rate = rule.get("false_positive_rate")
        rows.append(
            [
                tables.cell(rule_label(str(rule["rule"]))),
                tables.cell(_score(rule), tables.sortable(rule.get("value"))),
                tables.cell(
                    "–" if rate is None else f"{number(100 * rate, 2)} %", tables.sortable(rate)
                ),
                tables.cell(
                    "yes" if rule.get("used") else "", kind="best" if rule.get("used") else ""
                ),
            ]
        )
    return tables.table(columns, rows)


def _score(rule: Mapping[str, Any]) -> str:
    """A rule's threshold, or what it is found on."""
    per = rule.get("per")
    return f"one per {per}" if per else number(rule.get("value"), 4)


def _index_table(scans) -> dict:
    columns = [
        ("approach", "approach"),
        ("components", "components"),
        ("volume_ml", "detected (ml)"),
        ("largest_ml", "largest (ml)"),
        ("max_score", "highest score"),
        ("volume_above_ml", "above the threshold (ml)"),
        ("percentile", "percentile among healthy scans"),
        ("dice", "Dice"),
        ("false_ml", "false positives (ml)"),
        ("missed", "lesions missed"),
        ("lesions", "lesions"),
        ("lesion_ml", "lesions (ml)"),
        ("note", "note"),
    ]
    there = [
        (key, label) for key, label in columns if any(entry.get(key) is not None for entry in scans)
    ]
    text = ("approach", "note")
    heads = [
        {"label": "scan"},
        *({"label": label, "numeric": key not in text} for key, label in there),
    ]
    rows = []
    for entry in scans:
        row = [tables.cell(str(entry["scan"]), kind="name", href=relative_link(entry["page"]))]
        for key, _ in there:
            value = entry.get(key)
            row.append(tables.cell(plain(value), None if key in text else tables.sortable(value)))
        rows.append(row)
    return tables.table(heads, rows)
