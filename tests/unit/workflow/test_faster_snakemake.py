"""What Snakemake would do again for every job is done once, and the plan stays the same."""

import gc
import os
from types import SimpleNamespace

import pytest

import faster_snakemake
import warm_snakemake

FASTER = f"""
import sys
sys.path.insert(0, {os.path.dirname(faster_snakemake.__file__)!r})
import faster_snakemake
faster_snakemake.plan_faster()
"""
SNAKEFILE = """
rule all:
    input: expand("{n}.two", n=range(4))
rule one:
    output: "{n}.one"
    conda: "environment.yaml"
    resources: mem_mb=lambda wildcards, attempt: 10 * attempt + int(wildcards.n)
    params: n=lambda w: w.n
    script: "one.py"
rule two:
    input: lambda w: f"{w.n}.one"
    output: "{n}.two"
    params: name=lambda wildcards, output: output[0]
    script: "one.py"
"""


def dry_run(folder, beginning, *arguments, snakefile=SNAKEFILE):
    (folder / "Snakefile").write_text(beginning + snakefile)
    (folder / "one.py").touch()
    (folder / "environment.yaml").write_text("dependencies: []\n")
    return warm_snakemake.run(["--dry-run", *arguments], folder, dict(os.environ))


@pytest.mark.parametrize("quiet", [["--quiet", "rules", "host"], ["--quiet=host"]])
def test_plans_are_the_same(tmp_path, quiet):
    plain, faster = (dry_run(tmp_path, start, *quiet) for start in ("", FASTER))
    assert plain[0] == faster[0] == 0, faster[1]
    said = [
        # Jobs come in any order, with the time of day.
        sorted(line for line in output.splitlines() if not line.startswith("["))
        for _, output in (plain, faster)
    ]
    assert said[0] == said[1] and any("two" in line for line in said[0])


def test_a_script_that_is_not_there_is_still_missed(tmp_path):
    status, output = dry_run(tmp_path, FASTER, snakefile=SNAKEFILE.replace("one.py", "two.py"))
    assert status != 0 and "two.py" in output


def test_a_function_is_looked_at_once():
    looked = []

    def get_function_params(func):
        looked.append(func)
        return ["params of", func]

    module, other = SimpleNamespace(get_function_params=get_function_params), SimpleNamespace()
    faster_snakemake.remember_signatures(module, other)
    for _ in range(3):
        for one in (module, other):
            assert one.get_function_params(len) == ["params of", len]
    assert looked == [len]
    cannot_be_hashed = []
    assert module.get_function_params(cannot_be_hashed)[1] is cannot_be_hashed


def test_a_script_is_looked_at_once_unless_jobs_have_scripts_of_their_own():
    class Processor:
        script_type = "script"

        def __init__(self):
            self.seen = []

        def process_job(self, job):
            self.seen.append(job.rule.name)

    faster_snakemake.look_once_at_scripts(Processor)
    processor = Processor()
    for name, script in (("a", "a.py"), ("a", "a.py"), ("b", "{w}.py"), ("b", "{w}.py")):
        processor.process_job(SimpleNamespace(rule=SimpleNamespace(name=name, script=script)))
    assert processor.seen == ["a", "b", "b"]
    assert len(Processor().seen) == 0


def test_parameters_are_not_worked_out_for_the_environment():
    class Job:
        def __init__(self, known):
            self.rule, self.worked_out = SimpleNamespace(_expanded_conda_env=known), 0

        @property
        def conda_env_spec(self):
            self.worked_out += 1
            return "worked out"

    unknown = object()
    faster_snakemake.name_environments_by_rule(Job, unknown)
    for known, expected, count in (("env", "env", 0), (None, None, 0), (unknown, "worked out", 1)):
        job = Job(known)
        assert (job.conda_env_spec, job.worked_out) == (expected, count)


@pytest.mark.parametrize(
    ("dryrun", "quiet", "scheduled"),
    [(True, "RULES", False), (True, "ALL", False), (True, "HOST", True), (False, "RULES", True)],
)
def test_only_dry_runs_that_show_no_job_pass_by_them(dryrun, quiet, scheduled):
    class Scheduler:
        def __init__(self):
            settings = SimpleNamespace(quiet=[SimpleNamespace(name=quiet)])
            self.workflow = SimpleNamespace(dryrun=dryrun, output_settings=settings)
            self.scheduled = False

        def schedule(self):
            self.scheduled = True
            return True

    faster_snakemake.pass_by_jobs_that_are_not_shown(Scheduler, faster_snakemake.shows_jobs)
    scheduler = Scheduler()
    assert scheduler.schedule() and scheduler.scheduled is scheduled


def test_garbage_is_looked_for_less_often():
    before = gc.get_threshold()
    try:
        faster_snakemake.look_for_garbage_seldom()
        assert gc.get_threshold()[0] > 50 * 700
    finally:
        gc.set_threshold(*before)
