"""Lists of what jobs made: damage is found, and what left on purpose is no damage."""

import json
from pathlib import Path

import pytest

from normscan.digests import damage_lines, damages, forget, remove_former, write_record
from normscan.errors import NormscanError
from normscan.files import file_digests, load_nifti, placed, read_tsv, save_nifti, write_text

TABLE, ARRAY, PAGE = "metrics.tsv", "maps/00.npy", "pages/sub-01.html"


@pytest.fixture
def results(tmp_path) -> Path:
    """Three jobs: one has made a table, one an array beside what it declares, one pages."""
    folder = tmp_path / "results"
    for name in (TABLE, ARRAY, "maps/00.json", "pages/index.html", PAGE):
        write_text(folder / name, f"content of {name}\n")
    write_text(tmp_path / "elsewhere.txt", "not among the results")
    record(folder, "collect", "all", [TABLE], [])
    record(folder, "detect", "vae/00", ["maps/00.json"], [ARRAY, "../elsewhere.txt"])
    record(folder, "pages", "ms", ["pages/index.html"], [PAGE])
    return folder


def record(folder: Path, rule: str, job: str, outputs: list[str], files: list[str]) -> None:
    write_record(
        folder, rule, job, [str(folder / one) for one in outputs], map(folder.joinpath, files)
    )


def problems(results: Path, **options) -> dict[str, str]:
    """File -> what is wrong with it."""
    found, _ = damages(results, **options)
    return {str(Path(one.file).relative_to(results)): one.problem for one in found}


def test_every_kind_of_damage_is_found_at_once(results):
    assert damages(results) == ([], 5)
    (results / TABLE).unlink()
    (results / ARRAY).write_text("short")
    (results / PAGE).write_text("Content of pages/sub-01.html\n")
    found, files = damages(results, threads=2)
    assert files == 5
    said = damage_lines(found)
    for line in (
        f"{results / TABLE}: missing (of rule collect)",
        f"{results / ARRAY}: 5 bytes instead of 23 (of rule detect)",
        f"{results / PAGE}: other content than it was made with (of rule pages)",
    ):
        assert line in said
    # A command for each rule, in the order of its jobs; an array is made with its manifest.
    targets = (TABLE, "maps/00.json", "pages/index.html")
    assert said.splitlines()[-3:] == [f"  snakemake --force {results / one}" for one in targets]


def test_beside_what_a_job_reads_only_sizes_are_looked_at(results):
    for name in (ARRAY, PAGE):
        (results / name).write_text((results / name).read_text().upper())
    near = [str(results / "maps" / "00.json")]
    assert set(problems(results, near=near)) == {ARRAY}
    (results / TABLE).write_text("cut")
    assert set(problems(results, near=near)) == {ARRAY, TABLE}
    # Others may be about to make what is missing, or are at it.
    (results / PAGE).unlink()
    assert set(problems(results, near=near)) == {ARRAY, TABLE}
    assert set(problems(results, near=near, busy={"collect/all"})) == {ARRAY}


def test_a_file_that_two_jobs_wrote_is_as_one_of_them_left_it(results):
    write_text(results / PAGE, "of another shard")
    record(results, "pages", "others", ["pages/index.html"], [PAGE])
    assert problems(results) == {}
    write_text(results / PAGE, "of nobody")
    assert set(problems(results)) == {PAGE}


def test_what_is_removed_on_purpose_is_not_missed(results):
    forget(results, [results / ARRAY])
    (results / ARRAY).unlink()
    assert problems(results) == {}


def test_former_files_of_a_job_go_and_others_stay(results):
    theirs = results / "pages" / "notes.html"
    theirs.write_text("of a person")
    remove_former(results, "pages", "ms", [results / "pages/index.html"])
    assert not (results / PAGE).exists() and theirs.exists()
    remove_former(results, "pages", "never ran", [])
    # A list that names what lies outside of the results is no list of ours.
    path = results / "digests" / "collect" / "all.json"
    path.write_text(path.read_text().replace(TABLE, "../elsewhere.txt"))
    remove_former(results, "collect", "all", [])
    assert (results.parent / "elsewhere.txt").exists()


def test_a_broken_list_is_no_list(results):
    (results / "digests" / "collect" / "all.json").write_text("{")
    (results / TABLE).unlink()
    assert problems(results) == {}


def test_lists_are_the_same_for_the_same_files(results):
    path = results / "digests" / "detect" / "vae" / "00.json"
    before = path.read_bytes()
    record(results, "detect", "vae/00", ["maps/00.json"], [ARRAY])
    assert path.read_bytes() == before
    names = ["maps/00.json", ARRAY]
    assert json.loads(before)["files"] == file_digests(results, names)


def test_files_that_were_put_in_place_are_known(tmp_path):
    write_text(tmp_path / "stays", "1")
    write_text(tmp_path / "goes", "1")
    (tmp_path / "goes").unlink()
    here = [path for path in placed() if path.parent == tmp_path]
    assert here == [tmp_path / "stays"]


@pytest.mark.parametrize("content", ["a\tb\n1\t2\n3", "", "a\tb\n1\t2\t3\n4\t5\t6\t7\n"])
def test_a_table_that_is_cut_off_is_named(tmp_path, content):
    path = tmp_path / "table.tsv"
    path.write_text(content)
    with pytest.raises(NormscanError, match=r"table\.tsv: "):
        read_tsv(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_volume_that_is_cut_off_is_named(tmp_path, suffix, share):
    import numpy as np

    path = tmp_path / f"volume{suffix}"
    values = np.random.default_rng(0).random((9, 9, 9), np.float32)
    save_nifti(path, values, np.eye(4))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(NormscanError, match=f"volume{suffix}"):
        load_nifti(path)
