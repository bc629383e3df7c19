"""The demo as shipped plans what it promises; nothing of it is run here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from normscan.workflow.configuration import load_study
from normscan.workflow.plan import Plan
from tiny_study import REPOSITORY

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def plan() -> Plan:
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    return Plan(load_study(config, Path.cwd(), REPOSITORY / "protocols"))


@pytest.fixture
def planned(workflow) -> list[tuple[str, dict[str, str]]]:
    """The jobs of a dry run of the first command of ``make demo``."""
    shutil.copy2(REPOSITORY / "config.yaml", workflow.folder / "config.yaml")
    return workflow.planned("prepare", "all")


def lesions(plan, role: str) -> dict[str, str]:
    """Simulated cohorts of a role with the kind of their lesions."""
    return {
        name: plan.cohorts.study.simulation[name]["lesion"] for name in plan.cohorts.named(role)
    }


def test_there_are_tumour_and_ms_patients_to_test_on_and_healthy_subjects_to_train_on(plan):
    assert set(lesions(plan, "patients").values()) == {"ms", "tumour"}
    for name in plan.cohorts.named("patients"):
        cohort, validation = plan.cohorts.study.cohorts[name], plan.cohorts.study.validation[name]
        assert len(cohort.scans) - validation >= 2, name
    assert sum(plan.cohorts.study.validation[name] for name in plan.cohorts.named("patients")) >= 2
    (healthy,) = plan.cohorts.named("healthy")
    assert len(plan.cohorts.study.cohorts[healthy].scans) >= 6


def test_the_scan_to_screen_is_a_whole_head_with_a_lesion(plan):
    (name,) = plan.cohorts.named("unlabelled")
    assert not plan.cohorts.study.cohorts[name].skull_stripped
    assert plan.cohorts.study.simulation[name].get("head", True)
    assert plan.cohorts.study.simulation[name]["lesion"] != "none"
    detectors = {plan.detection.approaches[job.variant].detector for job in plan.screening.jobs()}
    assert {"reconstruction", "intensity"} <= detectors


def test_the_first_command_strips_trains_restores_and_reports(planned, plan):
    (head,) = plan.cohorts.named("unlabelled")
    stripped = {w["cohort"]: w["step"] for rule, w in planned if rule == "strip_skull"}
    assert stripped[head] == "strip_skull-robex"
    trained = {w["model"] for rule, w in planned if rule == "train"}
    assert trained == {"ae", "vae"}
    detectors = {
        plan.detection.approaches[w["approach"]].detector for rule, w in planned if rule == "detect"
    }
    assert detectors == {"intensity", "reconstruction", "proximal_restoration", "montecarlo"}
    assert {"tune_detector", "check_quality", "compare_approaches", "report"} <= {
        rule for rule, _ in planned
    }
    assert len(planned) < 115, "jobs cost seconds each"
