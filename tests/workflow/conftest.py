"""Tiny studies for tests: one that has run, and fresh ones."""

from __future__ import annotations

import pytest

from tiny_study import Workflow


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A tiny study that ran to its end. Tests that change it put it back."""
    workflow = Workflow(tmp_path_factory.mktemp("finished"))
    workflow.said = {target: workflow.run(target) for target in ("all", "screen")}
    return workflow


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Workflow:
    """A study of one long training that ran to its end undisturbed."""
    workflow = Workflow(tmp_path_factory.mktemp("small"))
    workflow.train_long()
    workflow.run("all")
    # Tests may change what the report says of the study, not its results.
    workflow.first_pages = workflow.pages()
    return workflow


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A fresh copy of the workflow that has not run."""
    return Workflow(tmp_path)
