"""What could not be done, gathered from a run's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normscan.files import read_json
from normscan.postprocessing.thresholds import ONLY_SLICES
from normscan.report.sections import lost_lesions, undetermined_weights


def failures(files, checked: dict, record: Mapping[str, Any]) -> list[dict]:
    """What could not be done: scans left out, lesions lost, what was not found on scans."""
    found = [
        {"what": f"{name}/{scan} was left out", "why": reason}
        for name, scans in checked["excluded"].items()
        for scan, reason in scans.items()
    ]
    found += [
        {"what": f"cohort {name}: look at this scan", "why": line}
        for name, lines in checked["warnings"].items()
        for line in lines
    ]
    found += lost_lesions([read_json(path) for path in files.quality])
    found += undetermined_weights(
        {title: read_json(path) for path, title in record["tuned"].items()}
    )
    missing = {}
    for path in files.thresholds:
        for prior, rules in read_json(path).items():
            for rule, one in rules.items():
                if one["threshold"] is None and one["reason"] not in ("", ONLY_SLICES):
                    missing[f"threshold rule {rule} (prior {prior})"] = one["reason"]
                if "note" in one:
                    what = f"{one['approach']}: threshold rule {rule}"
                    missing[what] = one["note"]
    return found + [{"what": what, "why": why} for what, why in missing.items()]
