"""What the pages of a screened cohort show, gathered from the manifests of its shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from normscan import __version__
from normscan.evaluation.found import Found
from normscan.figures.orientation import NEUROLOGICAL, words
from normscan.figures.slices import slice_rows, spread_words
from normscan.figures.style import save_figure
from normscan.files import read_tsv
from normscan.postprocessing.slice_rules import operating_point
from normscan.report.flagged import Flags
from normscan.report.screening import beside, build_scan_page, told_apart
from normscan.report.unusual import Bundles, bundle_facts, place, place_facts, volume_above
from normscan.report.viewer import Shown, viewer_content

SHOWN_SLICES = 4


@dataclass
class Screened:
    """What was found on the scans of a cohort.

    Attributes
    ----------
    results : scan -> what its page shows of each approach.
    shown : scan -> the same approaches as the viewer takes them.
    tables : components of a scan under an approach, with both named.
    overview : a row per scan and approach.
    excluded : scan -> why it was left out.
    orientation : of slices and viewers (``figures.orientation``).
    report : of the study that the bundles come from, relative to the pages; "" where there is none.
    notes : scan -> what a reader must know before its results.
    bundles : approach -> its bundle in words; of another one before, that as well.
    """

    results: dict[str, list[dict]] = field(default_factory=dict)
    shown: dict[str, list[Shown]] = field(default_factory=dict)
    tables: list[pandas.DataFrame] = field(default_factory=list)
    overview: list[dict[str, Any]] = field(default_factory=list)
    excluded: dict[str, list[str]] = field(default_factory=dict)
    orientation: str = NEUROLOGICAL
    report: str = ""
    notes: dict[str, list[str]] = field(default_factory=dict)
    bundles: dict[str, str] = field(default_factory=dict)

    def index(self, cohort: str, prior: str) -> dict[str, Any]:
        """What the page over all scans shows."""
        return {
            "cohort": cohort,
            "orientation": self.orientation,
            "report": self.report,
            "scans": self.rows(),
            "excluded": [
                {"scan": scan, "reason": "; ".join(dict.fromkeys(reasons))}
                for scan, reasons in self.excluded.items()
            ],
            "facts": {
                "prior": prior,
                "scans": len(self.results),
                **{f"bundle of {name}": said for name, said in self.bundles.items()},
            },
        }

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the index, with what is to be known of each scan."""
        titles = told_apart(
            [(one["approach"], one["name"].rpartition("/")[0]) for one in self.overview]
        )
        return [
            one | {"approach": title, "note": " ".join(self.notes.get(one["scan"], []))}
            for one, title in zip(self.overview, titles)
        ]

    def warn(self, warnings: Iterable[str]) -> None:
        """What the checks found odd: on a scan's own page, and of nobody's page on the index."""
        for line in warnings:
            scan, _, said = line.partition(": ")
            if scan in self.results:
                self.note(scan, f"Look at it: {said}.")
            else:
                self.excluded.setdefault(scan, []).append(said)

    def note(self, scan: str, line: str) -> None:
        """Say something on a scan's page, once, and on the index."""
        if line not in self.notes.setdefault(scan, []):
            self.notes[scan].append(line)


def read_screened(
    manifests: Sequence[str],
    checked: Mapping[str, str],
    prior: str,
    folder: Path,
    bundles: Bundles,
    flags: Flags | None = None,
    orientation: str = NEUROLOGICAL,
) -> Screened:
    """Gather the shards of a cohort; figures are drawn beside the pages.

    Parameters
    ----------
    manifests : of screened shards.
    checked : scan -> why it must not be used; a check that came later than the screening has the
        last word.
    prior : sign of what is sought.
    folder : of the pages.
    bundles : that the pages were made with before; takes those of now.
    flags : of quality control; None: there was none.
    orientation : of ``figures.orientation``.
    """
    left_out = {scan: [reason] for scan, reason in checked.items()}
    found = Screened(excluded=left_out, orientation=orientation)
    for path in manifests:
        shard = Found(path)
        content = shard.content
        for scan, reason in content["excluded"].items():
            if scan not in checked:
                found.excluded.setdefault(scan, []).append(reason)
        for scan, files in content["scans"].items():
            if scan in checked:
                continue
            name = content["approach"]["protocol"] + "/" + content["approach"]["variant"]
            components = read_tsv(files["components"])
            found.tables.append(components.assign(scan=scan, approach=name))
            results = found.results.setdefault(scan, [])
            placed = place(content, volume_above(shard, scan))
            results.append(
                result(shard, files, components, prior, folder, scan, placed, orientation)
            )
            note_bundle(found, scan, name, content, bundles)
            found.shown.setdefault(scan, []).append(
                shown_approach(shard, components, results[-1], len(results) - 1)
            )
            row = overview_row(scan, content["approach"]["title"], components)
            found.overview.append(row | placed | {"name": name})
    for (protocol, _), scans in (flags or {}).items():
        for scan, reason in scans.items():
            found.note(scan, f"Flagged by quality control, protocol {protocol}: {reason}.")
    return found


def note_bundle(
    found: Screened, scan: str, name: str, content: Mapping[str, Any], bundles: Bundles
) -> None:
    """Which bundle a result is of; a page that was made with another one before says so."""
    digest = content.get("bundle", {}).get("digest", "")
    before = bundles.take(scan, name, digest) if digest else ""
    said = bundle_facts(content)["bundle"]
    found.bundles.setdefault(name, said)
    if before:
        found.bundles[name] = f"{said}; some pages were made with {before} before"
        found.note(
            scan,
            f"The results of {name} are by the bundle {digest}; this page was made with {before} "
            "before, so that they may differ from what it showed.",
        )


def overview_row(scan: str, title: str, components: pandas.DataFrame) -> dict[str, Any]:
    """A row of the index."""
    return {
        "scan": scan,
        "page": f"{scan}.html",
        "approach": title,
        "components": len(components),
        "volume_ml": float(components["volume_ml"].sum()),
        "largest_ml": float(components["volume_ml"].max()) if len(components) else 0.0,
        "max_score": float(components["max_score"].max()) if len(components) else None,
    }


def shown_approach(shard: Found, components, result: Mapping[str, Any], section: int) -> Shown:
    """An approach as the viewer takes it."""
    approach = shard.content["approach"]
    return Shown(
        found=shard,
        title=f"{approach['title']} ({approach['protocol']})",
        section=section,
        expected=approach["expected"],
        components=components,
        rules=result["thresholds"],
    )


def scan_pages(cohort: str, found: Screened, library: str) -> Iterator[tuple[str, str]]:
    """Scan and its page (HTML), in order, each with links to its neighbours.

    Volumes are read and packed one page at a time.

    Parameters
    ----------
    library : of the viewer, relative to the pages.
    """
    results, scans = found.results, sorted(found.results)
    for number, scan in enumerate(scans):
        viewer = viewer_content(scan, found.shown[scan], orientation=found.orientation)
        yield (
            scan,
            build_scan_page(
                {
                    "cohort": cohort,
                    "scan": scan,
                    "results": results[scan],
                    "versions": {"normscan": __version__},
                    "notes": found.notes.get(scan, []),
                    "viewer": viewer and {"library": library, **viewer},
                    "orientation": found.orientation,
                    "index": "index.html",
                    "report": found.report,
                    "previous": f"{scans[number - 1]}.html" if number else "",
                    "next": f"{scans[number + 1]}.html" if number + 1 < len(scans) else "",
                }
            ),
        )


def joined(tables: list[pandas.DataFrame]) -> pandas.DataFrame:
    """Components of all scans; without columns when every scan was left out."""
    first = ["scan", "approach"]
    if not tables:
        return pandas.DataFrame(columns=first)
    table = pandas.concat(tables, ignore_index=True)
    table = table[first + [name for name in table.columns if name not in first]]
    return table.sort_values([*first, "component"])


def scan_table(found: Screened) -> pandas.DataFrame:
    """A row per scan and approach: how unusual it is, and what is to be known of it."""
    columns = {
        "scan": "scan", "name": "approach", "volume_above_ml": "volume_above_ml",
        "percentile": "percentile", "healthy_scans": "healthy_scans",
        "components": "components", "volume_ml": "detected_ml", "note": "note",
    }  # fmt: skip
    table = pandas.DataFrame(found.rows(), columns=list(columns)).rename(columns=columns)
    return table.sort_values(["scan", "approach"], ignore_index=True)


def result(
    shard: Found,
    files: dict,
    components,
    prior: str,
    folder: Path,
    scan: str,
    placed: dict,
    orientation: str = NEUROLOGICAL,
) -> dict:
    """What a scan's page shows of one approach; ``placed``: as of ``unusual.place``."""
    content = shard.content
    approach = content["approach"]
    shown = rows(shard, scan)
    figure = slice_rows(shown, title=approach["title"], orientation=orientation)
    png, svg = save_figure(
        figure, folder / "figures" / f"{scan}_{approach['protocol']}_{approach['variant']}"
    )
    used = content["rule"]
    return {
        **{key: approach[key] for key in ("title", "protocol", "variant", "model", "detector")},
        "seed": content["seed"],
        "contrast": content["contrast"],
        "prior": content["postprocessing"].get("prior") or prior,
        "postprocessing": content["postprocessing"],
        "scores": place_facts(content, placed),
        "numbers": bundle_facts(content),
        "picture": {
            "png": str(png),
            "svg": str(svg),
            "downloads": beside(folder, png, svg),
            "caption": "The axial slices, in atlas space, with the highest total score inside "
            f"detections. {words(orientation)}{spread_words(shown)}",
        },
        "components": components,
        "table": Path(files["components"]).relative_to(folder).as_posix(),
        "thresholds": threshold_rows(content["thresholds"], used),
        "files": [
            {"title": title, "href": Path(files[key]).relative_to(folder).as_posix()}
            for title, key in (
                ("anomaly map in the scan's own space", "native_map"),
                ("detections in the scan's own space", "native_detection"),
                ("uncertainty in the scan's own space", "native_uncertainty"),
                ("components", "components"),
            )
            if key in files
        ],
    }


def threshold_rows(thresholds: Mapping[str, Mapping[str, Any]], used: str) -> list[dict]:
    """Rules that found something to detect with, as pages show them; one of them is used."""
    return [
        {
            "rule": rule,
            "value": one["threshold"],
            "per": one.get("per", ""),
            "false_positive_rate": one.get("healthy_false_positive_rate"),
            "used": rule == used,
        }
        for rule, one in thresholds.items()
        if operating_point(one) is not None
    ]


def rows(shard: Found, scan: str) -> list[dict]:
    """The axial slices that a reader should see first."""
    filtered, detected = shard.filtered(scan), shard.detected(scan)
    assert filtered is not None and detected is not None
    # Where nothing is detected, or nothing scores at all, the reader still sees the scan.
    for volume in (filtered * detected, filtered, shard.brain(scan)):
        weight = volume.sum(axis=(0, 1), dtype=float)
        if weight.any():
            break
    chosen: list[int] = []
    # Slices apart from each other, so that one lesion does not fill the picture.
    for z in np.argsort(-weight, kind="stable"):
        if weight[z] <= 0 or len(chosen) == SHOWN_SLICES:
            break
        if all(abs(z - other) >= 4 for other in chosen):
            chosen.append(int(z))
    expected = shard.content["approach"]["expected"]
    return [
        {"label": f"z = {z}", "reconstruction_name": expected, **shard.slices(scan, z)}
        for z in sorted(chosen)
    ]
