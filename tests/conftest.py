"""Tests side by side (``-n 2 --dist loadgroup``): what shares a fixture stays in one process."""

from __future__ import annotations

import os

import pytest

# Processes side by side would fight over the cores. Set before torch is imported, and for whatever
# a test starts; tests of several threads ask for them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Groups of minutes, the longest first, and of files that take ten seconds or more.
FIRST = (
    "slurm",
    "finished",
    "small",
    "heads",
    "test_bad_input",
    "test_study_families",
    "test_every_model",
    "test_register",
    "test_networks",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test a group (its file, unless it names one) and begin with the long ones."""
    groups = {}
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark is None:
            mark = pytest.mark.xdist_group(item.path.stem).mark
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        groups[item] = mark.args[0]
    items.sort(key=lambda item: FIRST.index(groups[item]) if groups[item] in FIRST else len(FIRST))
