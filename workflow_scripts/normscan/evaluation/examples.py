"""Which scan stands for a patient, and which patient for a cohort, in figures."""

from __future__ import annotations

from collections.abc import Mapping

import pandas


def typical_scans(values: Mapping[str, float], subject_of: Mapping[str, str]) -> pandas.DataFrame:
    """Patients by their mean value, highest first, each with the scan that is closest to it.

    Parameters
    ----------
    values : scan -> value; missing ones are left out.
    subject_of : scan -> subject.

    Returns
    -------
    table : subject, mean, scans (how many have a value), scan, value; equal means in the order of
        subjects, equally close scans in that of scans.
    """
    table = pandas.DataFrame(
        sorted((subject_of[scan], scan, float(value)) for scan, value in values.items()),
        columns=["subject", "scan", "value"],
    ).dropna()
    by_subject = table.groupby("subject")["value"]
    table["mean"], table["scans"] = by_subject.transform("mean"), by_subject.transform("size")
    table["distance"] = (table["value"] - table["mean"]).abs()
    closest = table.sort_values(["subject", "distance"], kind="stable").drop_duplicates("subject")
    ordered = closest.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
    return ordered[["subject", "mean", "scans", "scan", "value"]]
