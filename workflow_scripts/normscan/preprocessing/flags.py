"""Scans that quality control flagged, and what is done about them before anything is packed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from normscan.errors import CohortError, NormscanError
from normscan.files import read_json

# What a scan was left out for, in lists of excluded scans.
BY_QUALITY = "quality control"


def flagged_scans(quality: Mapping[str, Any]) -> dict[str, str]:
    """Scan -> why it is flagged.

    Parameters
    ----------
    quality : what ``check_quality`` says of a cohort under a protocol.
    """
    return {one["scan"]: one["reason"] for one in quality["flagged"]}


def without_flagged(manifest: Mapping[str, Any], quality: Mapping[str, Any]) -> dict[str, Any]:
    """A shard's manifest with its flagged scans among the excluded ones.

    Parameters
    ----------
    manifest : of the last preprocessing step.
    quality : what ``check_quality`` says of the whole cohort.

    Raises
    ------
    CohortError : no scan of the cohort would be left.
    """
    flagged = flagged_scans(quality)
    if set(quality["scans"]) <= set(flagged):
        raise CohortError(
            manifest["cohort"],
            [
                f"quality control flagged every scan ({len(flagged)}), so that none is left; look "
                f"at {quality['overview']}, and at the cohort's skull_stripped and masks",
                *(f"{scan}: {reason}" for scan, reason in flagged.items()),
            ],
        )
    own = [one for one in manifest["scans"] if one["scan"] in flagged]
    return {
        **manifest,
        "scans": [one for one in manifest["scans"] if one["scan"] not in flagged],
        "excluded": [
            *manifest["excluded"],
            *(
                {"scan": one["scan"], "reason": f"{BY_QUALITY}: {flagged[one['scan']]}"}
                for one in own
            ),
        ],
    }


def refuse_flagged(paths: Iterable[str]) -> int:
    """Nothing where no scan is flagged; else NormscanError that lists all of all cohorts.

    Parameters
    ----------
    paths : files of ``check_quality``; protocols that flag a scan for the same share a line.

    Returns
    -------
    scans : how many scans were looked at.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    scans: set[tuple[str, str]] = set()
    for path in paths:
        quality = read_json(path)
        cohort = quality["cohort"]
        scans |= {(cohort, one) for one in quality["scans"]}
        for scan, reason in flagged_scans(quality).items():
            found.setdefault((cohort, scan, reason), []).append(quality["protocol"])
    if found:
        count = len({key[:2] for key in found})
        raise NormscanError(
            f"quality control flagged {count} scan{'s' * (count != 1)}; nothing was packed or "
            "trained. Look at them (quality/PROTOCOL/COHORT/ in the results), list those that are "
            "wrong under 'exclude', or set 'on_flagged: continue' or 'exclude' in config.yaml:\n"
            + "\n".join(
                f"  - cohort '{cohort}', protocol {', '.join(protocols)}: {scan}: {reason}"
                for (cohort, scan, reason), protocols in found.items()
            )
        )
    return len(scans)
