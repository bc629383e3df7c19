"""What jobs say of their progress, and how little of it reaches the terminal."""

import logging
import subprocess
import sys
import textwrap

import pytest

from normscan import progress as told
from normscan.workflow.fingerprint import SCRIPTS


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""
    now = [0.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: now[0])
    return now


def shown(clock, caplog, seconds: float, count: int, seldom: told.Seldom) -> list[str]:
    """Lines that reach the terminal of work whose parts take so many seconds each."""
    with caplog.at_level(logging.INFO, "normscan"):
        for _ in told.progress(range(count), "registering"):
            clock[0] += seconds
    return [one.getMessage() for one in caplog.records if seldom.filter(one)]


def test_short_work_logs_its_end_and_shows_nothing(clock, caplog):
    assert shown(clock, caplog, 5, 6, told.Seldom()) == []
    assert [one.getMessage() for one in caplog.records] == [
        "registering: 3 of 6, 15 s left",
        "registering: 6 of 6 in 30 s",
    ]


def test_long_work_is_shown_about_once_a_minute_and_less_often_in_hours(clock, caplog, monkeypatch):
    seldom = told.Seldom()
    lines = []

    def keep(record):
        if seldom.filter(record):
            lines.append((clock[0], record.getMessage()))
        return True

    monkeypatch.setattr(told.LOG, "filter", keep)
    with caplog.at_level(logging.INFO, "normscan"):
        for _ in told.progress(range(1000), "training"):
            clock[0] += 30
    assert lines[0] == (60, "training: 2 of 1000, 8 h 19 min left")
    assert lines[1][0] == 120
    assert len(lines) < 70
    assert len(caplog.records) == 1000


def test_warnings_and_errors_are_always_shown():
    seldom = told.Seldom()
    for level in (logging.WARNING, logging.ERROR):
        assert seldom.filter(logging.makeLogRecord({"levelno": level}))
    assert not seldom.filter(logging.makeLogRecord({"levelno": logging.INFO}))


def test_a_job_names_itself_at_the_terminal_and_keeps_all_in_its_log(tmp_path):
    code = f"""
        import logging, sys, types
        sys.path.insert(0, {str(SCRIPTS)!r})
        import job
        LOG = logging.getLogger("normscan")
        wildcards = dict(chain="raw+register", model="vae", seed="0")
        snakemake = types.SimpleNamespace(rule="train", log=["logs/train.log"], wildcards=wildcards)
        def main(snakemake):
            LOG.info("epoch 1")
            LOG.warning("100 % odd")
        job.run(snakemake, main)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == "train vae 0: WARNING 100 % odd\n"
    assert "INFO epoch 1" in (tmp_path / "logs" / "train.log").read_text()
