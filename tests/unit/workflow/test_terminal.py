"""What a person sees of a run: a line per stage, problems in full, the paths of the results."""

import io
import logging
import subprocess
import sys

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from normscan.workflow.fingerprint import SCRIPTS
from normscan.workflow.terminal import FILE, STREAM, Stages, result_lines, show_stages

QUIET = {Quietness.RULES, Quietness.HOST}
JOB_ERROR = {
    "event": LogEvent.JOB_ERROR,
    "rule_name": "train",
    "rule_msg": None,
    "jobid": 1,
    "input": [],
    "output": ["weights"],
    "log": [],
    "conda_env": None,
    "shellcmd": None,
    "aux": {},
}


class Run:
    """Snakemake's logger as the profile sets it up, and the records of a run, told by hand."""

    def __init__(self, name, **options):
        self.now = 0.0
        self.logger = logging.Logger(name)
        self.terminal, self.file = io.StringIO(), io.StringIO()
        for stream, handler_name in ((self.terminal, STREAM), (self.file, FILE)):
            handler = ColorizingTextHandler(
                stream=stream,
                formatter=DefaultFormatter(QUIET, show_failed_logs=True),
                filter=DefaultFilter(QUIET, False, False, options.get("dryrun", False), False),
            )
            handler.name = handler_name
            self.logger.addHandler(handler)
        stages = Stages("a study", "results/logs", clock=lambda: self.now, **options)
        show_stages(self.logger.handlers, stages)
        self.jobs = self.done = 0

    def plan(self, **counts):
        self.total = sum(counts.values())
        stats = {**counts, "total": self.total}
        self.logger.info("Job stats:", extra={"event": LogEvent.RUN_INFO, "stats": stats})

    def job(self, rule, seconds):
        self.jobs += 1
        started = {
            **JOB_ERROR, "event": LogEvent.JOB_INFO, "rule_name": rule, "jobid": self.jobs,
            "rule_msg": None, "local": False, "is_checkpoint": False, "benchmark": None,
            "reason": "", "wildcards": {}, "priority": 0, "threads": 1, "resources": {},
        }  # fmt: skip
        self.logger.info(f"Rule: {rule}", extra=started)
        self.now += seconds
        self.done += 1
        ended = {"event": LogEvent.JOB_FINISHED, "job_id": self.jobs}
        self.logger.info(f"Finished jobid: {self.jobs}", extra=ended)
        steps = {"event": LogEvent.PROGRESS, "done": self.done, "total": self.total}
        self.logger.info(None, extra=steps)

    def lines(self):
        return self.terminal.getvalue().splitlines()


def test_a_stage_is_a_line_and_jobs_are_none():
    run = Run("stages")
    run.plan(register=3, train=1)
    for _ in range(3):
        run.job("register", 10)
    run.job("train", 20)
    assert run.lines() == [
        "a study: 4 jobs; each writes its log below results/logs",
        "3 of 4 jobs (75 %) in 30 s, about 10 s left; done: register",
        "4 of 4 jobs done in 50 s",
    ]


def test_lines_of_progress_begin_with_a_bar_at_a_terminal():
    run = Run("bar", bar=True)
    run.plan(register=3, train=1)
    for _ in range(3):
        run.job("register", 10)
    run.job("train", 20)
    first, last = run.lines()[1:]
    assert first.startswith("[###############-----] 3 of 4 jobs (75 %)")
    assert last.startswith("[####################] 4 of 4 jobs done")


def test_quick_stages_share_a_line_and_long_ones_tell_how_far_they_are():
    run = Run("quick")
    run.plan(check=1, split=1, detect=20)
    run.job("check", 1)
    run.job("split", 1)
    for _ in range(15):
        run.job("detect", 8)
    told = run.lines()[1:]
    assert "3 of 22 jobs (13 %) in 10 s" in told[0] and told[0].endswith("done: check, split")
    # Every half minute, so every fourth job of eight seconds.
    assert len(told) == 1 + 14 // 4
    assert "about 2 min 40 s left" not in told[-1] and "left" in told[-1]


def test_a_run_of_hours_tells_less_often():
    run = Run("hours")
    run.plan(detect=600)
    for _ in range(600):
        run.job("detect", 30)
    assert 50 < len(run.lines()) < 100


def test_time_left_counts_what_each_rule_takes_and_how_many_run_side_by_side():
    run = Run("left")
    run.plan(register=2, detect=11)
    run.job("register", 100)
    run.job("register", 100)
    run.job("detect", 10)
    run.now += 30
    run.job("detect", 10)
    # Nine detections of ten seconds, not of fifty.
    assert "about 1 min 30 s left" in run.lines()[-1]


def test_failed_jobs_are_shown_with_their_logs(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("sub-01: the file is truncated\n")
    run = Run("failed")
    run.plan(train=1)
    run.logger.error("Error in rule train", extra={**JOB_ERROR, "log": [str(log)]})
    run.logger.warning("a warning")
    run.logger.info("Trying to restart job 1.")
    shown = run.terminal.getvalue()
    for part in ("Error in rule train", "the file is truncated", "a warning", "Trying to restart"):
        assert part in shown
    # As Snakemake has it, `quiet: rules` hides errors: should that change, this is not needed.
    kept = DefaultFilter(QUIET, False, False, False, False)
    assert not kept.filter(logging.makeLogRecord({**JOB_ERROR, "levelno": logging.ERROR}))


def test_the_log_file_holds_every_word():
    run = Run("file")
    run.plan(train=1)
    run.logger.info("Using shell: /usr/bin/bash")
    run.job("train", 1)
    kept = run.file.getvalue()
    for part in ("Job stats", "Using shell", "rule train:", "Finished jobid: 1", "1 of 1 steps"):
        assert part in kept
    assert "Using shell" not in run.terminal.getvalue()


def test_a_dry_run_shows_the_table_of_jobs():
    run = Run("dry", dryrun=True, results=lambda: ["Report: r"])
    run.plan(train=1)
    run.plan(train=1)
    run.logger.info("Nothing to be done (all requested files are present and up to date).")
    run.logger.info("This was a dry-run (flag -n). The order of jobs does not reflect ...")
    assert run.lines() == [
        "Job stats:",
        "Nothing to be done (all requested files are present and up to date).",
        "This was a dry run; snakemake -n --quiet host shows every job with its reason.",
    ]


def test_results_are_named_when_there_is_nothing_to_be_done():
    run = Run("nothing", results=lambda: ["Report: r"])
    run.logger.info("Nothing to be done (all requested files are present and up to date).")
    assert run.lines()[-1] == "Report: r"


def test_results_that_are_there_are_named_by_their_full_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tsv").touch()
    (tmp_path / "report.html").touch()
    found = result_lines([("Metrics", "a.tsv"), ("Screening", "none"), ("Report", "report.html")])
    assert found == [f"Metrics: {tmp_path}/a.tsv", f"Report:  {tmp_path}/report.html"]


@pytest.mark.parametrize("code", [0, 1])
def test_what_snakemake_itself_says_of_a_run(tmp_path, code):
    """With the real thing: the events and handlers that the above takes for granted."""
    (tmp_path / "Snakefile").write_text(f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from snakemake.logging import logger
from normscan.workflow.terminal import Stages, show_stages
show_stages(logger.handlers, Stages("a study", "logs"))
rule all:
    input: expand("{{n}}.txt", n=range(4))
rule one:
    output: "{{n}}.txt"
    log: "{{n}}.log"
    shell: "echo a reason > {{log}}; touch {{output}}; exit {code}"
onsuccess: print("the end", flush=True)
""")
    options = ["--cores", "2", "--show-failed-logs", "--quiet", "rules"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    assert done.returncode == code
    if code:
        assert "Error in rule one" in done.stdout and "a reason" in done.stdout
        return
    lines = done.stdout.splitlines()
    assert lines[-3:-1] == ["a study: 5 jobs; each writes its log below logs", lines[-2]]
    assert lines[-2].startswith("5 of 5 jobs done in ") and lines[-1] == "the end"
    assert len(lines) <= 6, done.stdout
    (log,) = (tmp_path / ".snakemake" / "log").glob("*.log")
    assert log.read_text().count("rule one:") == 4
