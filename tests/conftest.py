"""Tests side by side (``pytest -n 2``): files that share a fixture of minutes share a process."""

from __future__ import annotations

import os
from pathlib import PurePath

import pytest

# Processes side by side would fight over the cores. Set before torch is imported, and for whatever
# a test starts; tests of several threads ask for them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Groups of files that stay together, and single files of ten seconds or more: the longest first.
LONGEST_FIRST = (
    ("slurm/test_cluster.py",),
    (
        "workflow/test_results.py",
        "workflow/test_staleness.py",
        "workflow/test_damage.py",
        "workflow/test_screening_alone.py",
    ),
    ("workflow/test_clean_intermediates.py", "workflow/test_resume.py"),
    ("workflow/test_new_kinds.py",),
    ("workflow/test_whole_heads.py",),
    ("workflow/test_bad_input.py",),
    ("workflow/test_faults.py",),
    ("training/test_every_model.py",),
    ("training/test_loop_resume.py",),
    ("workflow/test_newcomers.py",),
    ("preprocessing/test_register.py",),
    ("cohorts/test_simulation_anatomy.py",),
    ("cohorts/test_simulation.py",),
    ("detectors/test_proximal_restoration.py",),
)


def group(nodeid: str) -> tuple[int, str]:
    """The group of a test (its rank in the list above, its name); most files are their own."""
    file = PurePath(nodeid.partition("::")[0])
    for rank, names in enumerate(LONGEST_FIRST):
        if any(file.match(name) for name in names):
            return rank, names[0]
    return len(LONGEST_FIRST), str(file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left alone with it in the end."""
    items.sort(key=lambda item: group(item.nodeid)[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Hand out whole groups, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)[1]

    config.option.loadscopereorder = False
    return Groups(config, log)
