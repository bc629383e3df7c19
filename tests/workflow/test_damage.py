"""Results that are damaged after a run: found, named by whoever reads them, and made again."""

from __future__ import annotations

import copy
import json
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


def cut(path: Path, share: float = 0.5) -> None:
    """Leave the beginning of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def test_a_finished_study_is_as_it_was_made(finished):
    assert "files are as they were made" in finished.run("verify")
    assert finished.counts("all") == {} and finished.counts("screen") == {}
    # Also the second time, and after what needs no file again is removed: nothing is missed.
    assert "files are as they were made" in finished.run("verify")


def test_all_damage_is_listed_at_once_and_can_be_made_good(spoiled):
    table, notes = Path("results/metrics.tsv"), Path("results/study/tiny/tests.tsv")
    volume = one(spoiled, "preprocessed/*normalise-p98/ms/sub-01/*FLAIR.nii.gz")
    before = {path: (spoiled.folder / path).read_bytes() for path in (table, notes, volume)}
    (spoiled.folder / table).unlink()
    (spoiled.folder / notes).write_bytes(before[notes].swapcase())
    cut(spoiled.folder / volume)
    said = spoiled.fails("verify")
    for path, problem in ((table, "missing"), (notes, "other content"), (volume, "bytes instead")):
        assert f"  - {path}: {problem}" in said
    command = next(line for line in said.splitlines() if "snakemake --force" in line)
    targets = command.split()[2:]
    assert len(targets) == 3
    spoiled.run("--force", *targets, *BY_TIME)
    for path, content in before.items():
        assert (spoiled.folder / path).read_bytes() == content
    assert "files are as they were made" in spoiled.run("verify")


def test_whoever_reads_what_is_damaged_names_it_and_what_makes_it_again(spoiled):
    seed = "detections/tiny/ae/seed-0"
    weights = one(spoiled, "models/*/*/*/vae/seed-0/weights.safetensors")
    array = one(spoiled, "maps/*/*/*/ae/seed-0/ms/00.npy")
    manifest = one(spoiled, "maps/*/*/*/ae/seed-0/ms/01.json")
    histogram = one(spoiled, f"{seed}/filtered-*/healthy/00.npz")
    table = one(spoiled, "evaluation/tiny/vae/seed-0/ms.tsv")
    # What is damaged, what made it, and who reads it.
    damaged = {
        weights: (weights, one(spoiled, "maps/*/*/*/vae/seed-0/ms/00.json")),
        array: (array.with_suffix(".json"), one(spoiled, f"{seed}/filtered-*/ms/00.json")),
        manifest: (manifest, one(spoiled, f"{seed}/filtered-*/ms/01.json")),
        histogram: (histogram.with_suffix(".json"), one(spoiled, f"{seed}/thresholds.json")),
        table: (table, Path("results/metrics.tsv")),
    }
    for path in damaged:
        cut(spoiled.folder / path)
    readers = [str(reader) for _, reader in damaged.values()]
    said = spoiled.fails("--keep-going", "--force", *readers, *BY_TIME)
    for path, (maker, _) in damaged.items():
        assert f"  - {path}: " in said
        assert str(maker) in said.split("snakemake --force ")[1].splitlines()[0].split()
    assert "Traceback" not in said


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
