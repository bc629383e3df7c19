"""Pages of test patients: what was found of every lesion, and what was marked besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from normscan import __version__
from normscan.evaluation.found import Found
from normscan.figures.cohort import SPLIT
from normscan.figures.orientation import NEUROLOGICAL, words
from normscan.figures.slices import slice_rows, spread_words
from normscan.figures.style import save_figure
from normscan.files import read_tsv, write_tsv
from normscan.report.flagged import flag_notes
from normscan.report.numbers import count, number
from normscan.report.pages import board_anchor
from normscan.report.screened import threshold_rows
from normscan.report.screening import beside, build_index_page, build_scan_page
from normscan.report.viewer import Shown, viewer_content

# Approaches in a viewer; volumes of dozens would make a page of a hundred megabytes.
VIEWED = 8


@dataclass(frozen=True)
class Approach:
    """An approach by its first seed.

    Attributes
    ----------
    record : ``protocol``, ``variant``, ``title``, ``model``, ``detector``, ``expected``, ``seed``.
    metrics : rows of the cohort (as of ``metrics.tsv``).
    thresholds : rule -> record, under the cohort's prior.
    """

    record: Mapping[str, Any]
    metrics: pandas.DataFrame
    thresholds: Mapping[str, Mapping[str, Any]]

    @property
    def auprc(self) -> float:
        """Of all test voxels; NaN where no voxels are scored."""
        rows = self.metrics[
            (self.metrics["metric"] == "auprc")
            & (self.metrics["level"] == "cohort")
            & (self.metrics["split"] == SPLIT)
        ]
        return float(rows["value"].iloc[0]) if len(rows) else float("nan")

    def of_scan(self, scan: str, rule: str) -> dict[str, float]:
        """Metric -> value of a scan at a rule."""
        rows = self.metrics[(self.metrics["level"] == "scan") & (self.metrics["scan"] == scan)]
        rows = rows[rows["threshold_rule"] == rule]
        return dict(zip(rows["metric"], rows["value"].astype(float)))


@dataclass
class Cohort:
    """A cohort under a protocol.

    Attributes
    ----------
    labels : labels of the lesion map that are sought.
    flagged : scan -> why quality control flagged it.
    found : scan -> approach's variant -> where it was found.
    orientation : of slices and viewers (``figures.orientation``).
    report : of the study, relative to the pages; "" where there is none.
    """

    name: str
    protocol: str
    prior: str
    labels: Sequence[int]
    approaches: Sequence[Approach]
    flagged: Mapping[str, str] = field(default_factory=dict)
    found: dict[str, dict[str, Found]] = field(default_factory=dict)
    orientation: str = NEUROLOGICAL
    report: str = ""

    def read(self, manifests: Iterable[str]) -> None:
        """Take up detections of test scans from the manifests of all approaches and shards."""
        tested = self.tested()
        for path in manifests:
            shard = Found(path)
            if not shard.scores_voxels:
                continue
            for scan in shard.scans:
                if scan in tested:
                    self.found.setdefault(scan, {})[shard.content["variant"]] = shard

    def tested(self) -> set[str]:
        """Test scans of any approach."""
        scans: set[str] = set()
        for one in self.approaches:
            rows = one.metrics[(one.metrics["split"] == SPLIT) & (one.metrics["level"] == "scan")]
            scans.update(rows["scan"].astype(str))
        return scans

    def shown(self, scan: str) -> list[tuple[Approach, Found]]:
        """Approaches with a map of a scan, in order."""
        there = self.found[scan]
        return [
            (one, there[one.record["variant"]])
            for one in self.approaches
            if one.record["variant"] in there
        ]

    def links(self) -> dict[str, str]:
        """Where pages lead back to: the report, and the leaderboard in it."""
        return {"report": self.report, "board": board_anchor(self.name, self.protocol)}

    def viewed(self) -> set[str]:
        """Variants that viewers show: all, or of many the best by AUPRC."""
        scored = sorted(self.approaches, key=lambda one: -np.nan_to_num(one.auprc, nan=-1.0))
        return {one.record["variant"] for one in scored[:VIEWED]}


def outcome(approach: Approach, scan: str, rule: str) -> dict[str, float | int] | None:
    """Dice, false positives (ml), lesions missed and there; None where nothing was scored."""
    values = approach.of_scan(scan, rule)
    if "dice" not in values:
        return None
    lesions, recall = int(values["lesions"]), values.get("lesion_recall", np.nan)
    # Of what was detected, the part that is no lesion. Without detections there is no precision.
    wrong = 1 - np.nan_to_num(values.get("precision", np.nan), nan=1.0)
    return {
        "dice": values["dice"],
        "false_ml": values["detected_volume_ml"] * wrong,
        "missed": round(lesions * (1 - recall)) if lesions else 0,
        "lesions": lesions,
        "lesion_ml": values["lesion_volume_ml"],
    }


def telling_slices(found: Found, scan: str, labels: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the slice where detection and lesion agree best, and that with most false positives.

    One where nothing was marked outside of lesions, or where no lesion is, is left out.
    """
    detected = found.detected(scan)
    lesion, ignored = found.truth(scan, labels)
    if detected is None:
        return []
    counted = detected & ~ignored
    hits, false = (counted & lesion).sum(axis=(0, 1)), (counted & ~lesion).sum(axis=(0, 1))
    sizes = counted.sum(axis=(0, 1)) + lesion.sum(axis=(0, 1))
    # Of slices in which nothing was found, the one with most of the lesion.
    dice = 2 * hits / np.maximum(sizes, 1) + 1e-9 * lesion.sum(axis=(0, 1))
    voxel_ml = abs(float(np.linalg.det(found.affine(scan)[:3, :3]))) / 1000
    chosen = []
    if lesion.any():
        z = int(dice.argmax())
        chosen.append((z, f"best, z = {z}\nDice {2 * hits[z] / sizes[z]:.2f}"))
    if false.any():
        z = int(false.argmax())
        chosen.append((z, f"worst, z = {z}\n{false[z] * voxel_ml:.1f} ml outside"))
    return [
        {
            "label": label,
            **found.slices(scan, z),
            "truth": lesion[:, :, z],
            "ignored": ignored[:, :, z],
        }
        for z, label in chosen
    ]


def scan_pages(cohort: Cohort, folder: Path, library: str) -> Iterator[tuple[str, str]]:
    """Scan and its page (HTML), in order; volumes are read and packed one page at a time.

    Parameters
    ----------
    folder : of the pages; figures are drawn below it.
    library : of the viewer, relative to the pages.
    """
    scans, viewed = sorted(cohort.found), cohort.viewed()
    folder.mkdir(parents=True, exist_ok=True)
    for number_, scan in enumerate(scans):
        results, shown = [], []
        for approach, found in cohort.shown(scan):
            results.append(result(cohort, approach, found, scan, folder))
            if approach.record["variant"] in viewed:
                shown.append(
                    Shown(
                        found,
                        approach.record["title"],
                        len(results) - 1,
                        approach.record["expected"],
                        results[-1]["components"],
                        results[-1]["thresholds"],
                    )
                )
        write_tsv(folder / table_name(scan), component_tables(results))
        viewer = viewer_content(scan, shown, cohort.labels, orientation=cohort.orientation)
        if viewer is not None:
            viewer |= {"library": library, "note": viewer_note(len(results), len(shown))}
        yield (
            scan,
            build_scan_page(
                {
                    "cohort": cohort.name,
                    "scan": scan,
                    "heading": f"Test patients of cohort {cohort.name}, protocol {cohort.protocol}",
                    "results": results,
                    "versions": {"normscan": __version__},
                    "viewer": viewer,
                    "orientation": cohort.orientation,
                    "notes": flag_notes(cohort.flagged, scan),
                    "truth": True,
                    "index": "index.html",
                    **cohort.links(),
                    "previous": f"{scans[number_ - 1]}.html" if number_ else "",
                    "next": f"{scans[number_ + 1]}.html" if number_ + 1 < len(scans) else "",
                }
            ),
        )


def table_name(scan: str) -> str:
    """The file beside a scan's page with the components that all approaches found."""
    return f"{scan}_components.tsv"


def component_tables(results: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Components of a scan under all approaches, each named before them."""
    found = []
    for one in results:
        table = one["components"].copy()
        table.insert(0, "approach", f"{one['protocol']}/{one['variant']}")
        found.append(table)
    return pandas.concat(found, ignore_index=True)


def viewer_note(there: int, shown: int) -> str:
    """What to say where a viewer has not all approaches, and what its colours are."""
    said = "Of a detection, green lies in a lesion and orange outside."
    if shown < there:
        said += f" The viewer has the {shown} of {there} approaches with the highest AUPRC here."
    return said


def result(
    cohort: Cohort, approach: Approach, found: Found, scan: str, folder: Path
) -> dict[str, Any]:
    """What a scan's page shows of one approach."""
    record, content = approach.record, found.content
    scored = outcome(approach, scan, content["rule"])
    table = read_tsv(content["components"], dtype={"scan": str})
    rows = telling_slices(found, scan, cohort.labels)
    picture = None
    if rows:
        rows = [{**row, "reconstruction_name": record["expected"]} for row in rows]
        name = folder / "figures" / f"{scan}_{record['variant']}"
        drawn = slice_rows(rows, title=record["title"], orientation=cohort.orientation)
        png, svg = save_figure(drawn, name)
        picture = {
            "png": str(png),
            "svg": str(svg),
            "downloads": beside(folder, png, svg),
            "caption": "The axial slice on which detection and lesion agree best, and the one with "
            f"most false positives, in atlas space. {words(cohort.orientation)}"
            + spread_words(rows),
        }
    return {
        **{
            key: record[key]
            for key in ("title", "protocol", "variant", "model", "detector", "seed")
        },
        "prior": record["postprocessing"].get("prior") or cohort.prior,
        "postprocessing": record["postprocessing"],
        "contrast": content["contrast"],
        "scores": score_facts(scored),
        "picture": picture,
        "components": table[table["scan"] == scan].drop(columns="scan"),
        "table": table_name(scan),
        "thresholds": threshold_rows(approach.thresholds, content["rule"]),
    }


def score_facts(scored: Mapping[str, float | int] | None) -> list[tuple[str, str]]:
    """How good a detection is: value, and what it is of."""
    if scored is None:
        return []
    lesions = count(int(scored["lesions"]), "lesion")
    return [
        (number(scored["dice"], 3), "Dice"),
        (f"{number(scored['false_ml'], 2)} ml", "false positives"),
        (f"{scored['missed']} of {lesions}", "missed altogether"),
        (f"{number(scored['lesion_ml'], 2)} ml", "lesions"),
    ]


def index_page(cohort: Cohort) -> str:
    """All test scans under all approaches."""
    scans = []
    for scan in sorted(cohort.found):
        for approach, found in cohort.shown(scan):
            entry = {"scan": scan, "page": f"{scan}.html", "approach": approach.record["title"]}
            entry |= {"note": f"flagged: {cohort.flagged[scan]}"} if scan in cohort.flagged else {}
            scored = outcome(approach, scan, found.content["rule"]) or {}
            scans.append(entry | {key: round(value, 3) for key, value in scored.items()})
    return build_index_page(
        {
            "cohort": cohort.name,
            "heading": f"Test patients of {cohort.name}",
            "said": f"{count(len(cohort.found), 'scan')} under protocol {cohort.protocol}, every "
            "approach by its first seed, at its first threshold rule.",
            "scans": scans,
            "nothing": "No test scan has a map.",
            "orientation": cohort.orientation,
            **cohort.links(),
            "excluded": None,
            "facts": {"protocol": cohort.protocol, "prior": cohort.prior},
        }
    )
