"""A SLURM cluster for the tests, and tiny studies that are submitted to it."""

from __future__ import annotations

import pytest

from cluster import Cluster, missing
from submitted import SubmittedWorkflow


# A folder without __init__.py is no package: with that scope the cluster would run to the very end.
@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running cluster; the tests that need it are skipped where none can be started."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    one = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def workflow(tmp_path, cluster) -> SubmittedWorkflow:
    """A fresh tiny study for the cluster."""
    return SubmittedWorkflow(tmp_path, cluster)
