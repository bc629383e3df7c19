"""Screening that rests on bundles: one scan by one command, and a site that has nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tiny_study import Workflow

pytestmark = pytest.mark.workflow
RAW = "results/simulated/new/sub-01"
# Where results of the cohort of one stand.
OWN = ("screening", "checks", "cohorts", "preprocessed/*", "slices/*/*", "quality/*")


def written(folder: Path) -> dict[str, bytes]:
    """Tables of components and scans, and of every scan its volumes, tables and figures."""
    found = [*folder.glob("*/*/seed-*/sub-*/*"), *folder.glob("figures/*")]
    found += [folder / "components.tsv", folder / "scans.tsv"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_scan_alone_gets_what_its_cohort_gets(finished):
    said = finished.run("screen", "--config", f"scan={RAW}", "skull_stripped=true")
    screening = finished.results / "screening"
    assert str(screening / "sub-01" / "index.html") in said
    assert "new/index.html" not in said
    ours, theirs = written(screening / "sub-01"), written(screening / "new")
    assert len(ours) > 9 and ours == theirs
    assert finished.counts("all") == {} and finished.counts("screen") == {}
    # What is said of one scan touches no result of the study.
    about = ["skull_stripped=true", "screening={approaches: [tiny/ae]}"]
    assert finished.counts("all", "--config", f"scan={RAW}", *about) == {}
    for place in OWN:
        for folder in finished.results.glob(f"{place}/sub-01"):
            shutil.rmtree(folder)


def test_a_site_with_bundles_needs_neither_protocol_nor_healthy_scans(finished, tmp_path):
    """The same scan at another place, where nothing else is known: the same bytes."""
    site = Workflow(tmp_path)
    new = {"role": "unlabelled", "source": "bids", "path": "scans", "skull_stripped": True}
    site.config = {
        "results": "results",
        "screening": {"bundles": "bundles"},
        "cohorts": {"new": {**new, "prior": "hyperintense"}},
    }
    site.write()
    shutil.rmtree(tmp_path / "protocols")
    shutil.rmtree(tmp_path / "data")
    shutil.copytree(finished.results / "bundles", tmp_path / "bundles")
    shutil.copytree(finished.folder / RAW, tmp_path / "scans" / "sub-01")
    said = site.run()
    assert str(site.results / "screening" / "new" / "index.html") in said
    assert "Report:" not in said
    ours = written(site.results / "screening" / "new")
    assert ours == written(finished.results / "screening" / "new")
    assert site.counts() == {} and site.counts("screen") == {}
