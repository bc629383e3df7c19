"""Results that are damaged after a run: found, named by whoever reads them, and made again."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tiny_study import Workflow

pytestmark = pytest.mark.workflow
# A copy stands in another folder: parameters that hold paths would make all of it stale.
BY_TIME = ("--rerun-triggers", "mtime")


@pytest.fixture(scope="module")
def spoiled(finished, tmp_path_factory) -> Workflow:
    """A copy of a finished study, to be damaged."""
    workflow = copy.copy(finished)
    workflow.folder = tmp_path_factory.mktemp("copy") / "study"
    shutil.copytree(finished.folder, workflow.folder, symlinks=True)
    return workflow


def one(workflow: Workflow, pattern: str) -> Path:
    """A file of the results, relative to the study."""
    return sorted(workflow.results.glob(pattern))[0].relative_to(workflow.folder)


def cut(path: Path) -> None:
    """Leave the first half of a file, with its time: nothing is stale for it."""
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(content[: len(content) // 2])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def commands(said: str) -> list[list[str]]:
    """Arguments of the commands that a message names."""
    found = dict.fromkeys(line.strip() for line in said.splitlines() if "snakemake --f" in line)
    return [line.split()[1:] for line in found]


def test_a_finished_study_is_as_it_was_made(finished):
    # Also when it is asked for a second time.
    for _ in range(2):
        assert "files are as they were made" in finished.run("verify")
    assert finished.counts("all") == {} and finished.counts("screen") == {}


def test_all_damage_is_listed_at_once_and_can_be_made_good(spoiled):
    table, tests = Path("results/metrics.tsv"), Path("results/study/tiny/tests.tsv")
    array = one(spoiled, "detections/tiny/ae/seed-0/filtered-*/ms/00.npy")
    before = {path: (spoiled.folder / path).read_bytes() for path in (table, tests, array)}
    (spoiled.folder / table).unlink()
    (spoiled.folder / tests).write_bytes(before[tests].swapcase())
    cut(spoiled.folder / array)
    said = spoiled.fails("verify")
    problems = {table: "missing", tests: "other content", array: r"\d+ bytes instead of \d+"}
    for path, problem in problems.items():
        assert re.search(rf"  - {re.escape(str(path))}: {problem}", said), path
    assert len(commands(said)) == 3
    for command in commands(said):
        spoiled.run(*command, *BY_TIME)
    for path, content in before.items():
        assert (spoiled.folder / path).read_bytes() == content
    assert "files are as they were made" in spoiled.run("verify")
    assert spoiled.counts("all", *BY_TIME) == {}, "what is made again has the bytes it had"


def test_pages_that_a_rule_wrote_last_time_go(spoiled):
    pages = {"patient_pages/tiny/ms": "patients/tiny/ms", "screen_index/new": "screening/new"}
    for job, folder in pages.items():
        record, place = spoiled.results / "digests" / f"{job}.json", spoiled.results / folder
        content = json.loads(record.read_text())
        for name in ("sub-99.html", "figures/sub-99_ae.png"):
            (place / name).write_text("of a scan that has left the cohort")
            content["files"][f"{folder}/{name}"] = [34, "0"]
        record.write_text(json.dumps(content))
        (place / "notes.html").write_text("of a person")
    there = {folder: set(spoiled.results.glob(f"{folder}/**/*")) for folder in pages.values()}
    spoiled.run("--force", *(f"results/{one}/index.html" for one in pages.values()), *BY_TIME)
    for folder, before in there.items():
        left = before - set(spoiled.results.glob(f"{folder}/**/*"))
        assert {path.name for path in left} == {"sub-99.html", "sub-99_ae.png"}


# The last: what a job declares is removed when it fails.
def test_whoever_reads_what_is_damaged_names_it_and_what_makes_it_again(spoiled):
    seed = "detections/tiny/ae/seed-0"
    table = one(spoiled, "evaluation/tiny/vae/seed-0/ms.tsv")
    histogram = one(spoiled, f"{seed}/filtered-*/healthy/00.npz")
    weights = one(spoiled, "models/*/*/*/vae/seed-0/weights.safetensors")
    array = one(spoiled, "maps/*/*/*/ae/seed-0/ms/00.npy")
    manifest = one(spoiled, "maps/*/*/*/ae/seed-0/ms/01.json")
    # What is damaged, what makes it, and who reads it; of each group none waits for another.
    groups = [
        [(table, table, Path("results/metrics.tsv"))],
        [(histogram, histogram.with_suffix(".json"), one(spoiled, f"{seed}/thresholds.json"))],
        [
            (weights, weights, one(spoiled, "maps/*/*/*/vae/seed-0/ms/00.json")),
            (array, array.with_suffix(".json"), one(spoiled, f"{seed}/filtered-*/ms/00.json")),
            (manifest, manifest, one(spoiled, f"{seed}/filtered-*/ms/01.json")),
        ],
    ]
    for group in groups:
        for path, _, _ in group:
            cut(spoiled.folder / path)
        readers = [str(reader) for _, _, reader in group]
        said = spoiled.fails("--keep-going", "--force", *readers, *BY_TIME)
        assert "Traceback" not in said
        for path, maker, _ in group:
            assert f"  - {path}: " in said
            assert any(str(maker) in command for command in commands(said))
