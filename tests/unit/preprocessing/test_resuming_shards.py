import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import normscan
from normscan import faults
from normscan.errors import CohortError, ConfigError, MachineError, ScanError
from normscan.files import load_nifti, save_nifti
from normscan.preprocessing.naming import (
    lesions_name,
    transform_name,
    volume_name,
    write_dataset_description,
    write_space,
    write_stripping,
)
from normscan.preprocessing.shards import prepared_scans, process_shard, raw_manifest
from normscan.preprocessing.volumes import Prepared


@pytest.fixture
def scans(tmp_path):
    """Three scans of two contrasts; the second has a lesion mask."""
    found = []
    for number in (1, 2, 3):
        images = {}
        for contrast in ("T1w", "FLAIR"):
            images[contrast] = str(tmp_path / "raw" / f"sub-0{number}_{contrast}.nii.gz")
            save_nifti(images[contrast], np.full((4, 4, 4), number, np.float32), np.eye(4))
        mask = images["T1w"] if number == 2 else ""
        found.append(
            SimpleNamespace(
                id=f"sub-0{number}",
                subject=f"0{number}",
                session="",
                images=images,
                brain_mask="",
                lesion_mask=mask,
                anatomy="",
            )
        )
    return found


class Doubling:
    """A step that doubles every value and counts its calls."""

    def __init__(self, bad=()):
        self.seen, self.bad = [], bad

    def __call__(self, prepared, folder):
        self.seen.append(prepared.scan)
        if prepared.scan in self.bad:
            raise ScanError(prepared.scan, "file.nii", "is bad")
        images = {}
        for contrast, path in prepared.images.items():
            data, affine = load_nifti(path)
            images[contrast] = str(
                folder / volume_name(prepared.scan, "robex", "denoise", contrast)
            )
            save_nifti(images[contrast], 2 * data, affine)
        return Prepared(**{**vars(prepared), "images": images, "space": "robex"})


def process(manifest, folder, run_one, **changes):
    options = {"key_extra": {"steps": 5}, "on_bad_scan": "stop", "step": "double", **changes}
    return process_shard(manifest, folder, run_one, **options)


def test_manifest_of_a_shard(scans, tmp_path):
    contents = {"sub-02": {"T1w": "12", "FLAIR": "34"}}
    raw = raw_manifest("demo", "00", scans, contents)
    manifest = process(raw, tmp_path / "out", Doubling(), contrasts=["FLAIR"])
    assert manifest["chain"] == ["raw", "double"]
    digests = [prepared.content for prepared in prepared_scans(manifest)]
    assert digests == [{}, contents["sub-02"], {}]
    assert (manifest["cohort"], manifest["shard"], manifest["space"]) == ("demo", "00", "robex")
    assert json.loads(json.dumps(manifest)) == manifest
    for number, prepared in enumerate(prepared_scans(manifest), start=1):
        path = prepared.image("FLAIR")
        assert path == str(
            tmp_path
            / "out"
            / f"sub-0{number}"
            / f"sub-0{number}_space-robex_desc-denoise_FLAIR.nii.gz"
        )
        assert load_nifti(path)[0].max() == 2 * number
        assert prepared.native["FLAIR"] == scans[number - 1].images["FLAIR"]
    assert prepared_scans(manifest)[1].lesions == scans[1].lesion_mask
    assert not list((tmp_path / "out").glob(".*"))


def test_nothing_is_computed_twice(scans, tmp_path):
    manifest, step = raw_manifest("demo", "00", scans), Doubling()
    first = process(manifest, tmp_path / "out", step)
    second = process(manifest, tmp_path / "out", step)
    assert step.seen == ["sub-01", "sub-02", "sub-03"]
    assert first == second


def test_a_grown_shard_computes_the_new_scan_only(scans, tmp_path):
    process(raw_manifest("demo", "00", scans[:2]), tmp_path / "out", Doubling())
    step = Doubling()
    manifest = process(raw_manifest("demo", "00", scans), tmp_path / "out", step)
    assert step.seen == ["sub-03"]
    assert len(manifest["scans"]) == 3


def test_changed_content_under_the_same_name_is_noticed(scans, tmp_path):
    process(raw_manifest("demo", "00", scans), tmp_path / "out", Doubling())
    save_nifti(scans[1].images["T1w"], np.full((4, 4, 4), 7, np.float32), np.eye(4))
    step = Doubling()
    manifest = process(raw_manifest("demo", "00", scans), tmp_path / "out", step)
    assert step.seen == ["sub-02"]
    assert load_nifti(manifest["scans"][1]["images"]["T1w"])[0].max() == 14


def test_keys_follow_through_later_steps(scans, tmp_path):
    first = process(raw_manifest("demo", "00", scans), tmp_path / "one", Doubling())
    process(first, tmp_path / "two", Doubling(), key_extra="second")
    save_nifti(scans[0].images["T1w"], np.full((4, 4, 4), 9, np.float32), np.eye(4))
    again = process(raw_manifest("demo", "00", scans), tmp_path / "one", Doubling())
    step = Doubling()
    process(again, tmp_path / "two", step, key_extra="second")
    assert step.seen == ["sub-01"]


@pytest.mark.parametrize("changes", [{"key_extra": {"steps": 6}}, {"contrasts": ["FLAIR"]}])
def test_other_settings_compute_again(scans, tmp_path, changes):
    manifest = raw_manifest("demo", "00", scans)
    process(manifest, tmp_path / "out", Doubling())
    step = Doubling()
    result = process(manifest, tmp_path / "out", step, **changes)
    assert len(step.seen) == 3
    wanted = set(changes.get("contrasts", ["T1w", "FLAIR"]))
    assert set(result["scans"][0]["images"]) == wanted
    assert set(result["scans"][0]["native"]) == {"T1w", "FLAIR"}


def test_a_lost_file_is_made_again(scans, tmp_path):
    manifest = raw_manifest("demo", "00", scans)
    result = process(manifest, tmp_path / "out", Doubling())
    Path(result["scans"][2]["images"]["T1w"]).unlink()
    step = Doubling()
    process(manifest, tmp_path / "out", step)
    assert step.seen == ["sub-03"]


def test_a_damaged_file_is_made_again(scans, tmp_path):
    manifest = raw_manifest("demo", "00", scans)
    path = Path(process(manifest, tmp_path / "out", Doubling())["scans"][2]["images"]["T1w"])
    whole = path.read_bytes()
    # As many bytes as before.
    path.write_bytes(whole[:-9] + b"x" + whole[-8:])
    step = Doubling()
    process(manifest, tmp_path / "out", step)
    assert step.seen == ["sub-03"] and path.read_bytes() == whole


def test_a_moved_data_set_is_not_computed_again(scans, tmp_path):
    process(raw_manifest("demo", "00", scans), tmp_path / "out", Doubling())
    (tmp_path / "raw").rename(tmp_path / "elsewhere")
    for scan in scans:
        scan.images = {k: v.replace("/raw/", "/elsewhere/") for k, v in scan.images.items()}
        scan.lesion_mask = scan.lesion_mask.replace("/raw/", "/elsewhere/")
    step = Doubling()
    manifest = process(raw_manifest("demo", "00", scans), tmp_path / "out", step)
    assert step.seen == []
    assert manifest["scans"][0]["native"] == scans[0].images


def test_stop_tells_all_problems_after_trying_all(scans, tmp_path):
    step = Doubling(bad=("sub-01", "sub-03"))
    with pytest.raises(CohortError) as caught:
        process(raw_manifest("demo", "00", scans), tmp_path / "out", step)
    assert step.seen == ["sub-01", "sub-02", "sub-03"]
    assert [one.split(":")[0] for one in caught.value.problems] == ["sub-01", "sub-03"]
    retry = Doubling()
    process(raw_manifest("demo", "00", scans), tmp_path / "out", retry)
    assert retry.seen == ["sub-01", "sub-03"]


def test_exclude_goes_on_and_says_why(scans, tmp_path):
    manifest = process(
        raw_manifest("demo", "00", scans),
        tmp_path / "out",
        Doubling(("sub-02",)),
        on_bad_scan="exclude",
    )
    assert [one["scan"] for one in manifest["scans"]] == ["sub-01", "sub-03"]
    assert manifest["excluded"] == [{"scan": "sub-02", "reason": "sub-02: file.nii: is bad"}]
    later = process(manifest, tmp_path / "two", Doubling(), on_bad_scan="exclude")
    assert later["excluded"] == manifest["excluded"]


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        MachineError("ROBEX was ended by signal 9"),
        MemoryError(),
        ConfigError("register.transform: found 'x'"),
    ],
)
def test_a_fault_of_the_machine_leaves_no_scan_out(scans, tmp_path, fault):
    raw = raw_manifest("demo", "00", scans)

    class Failing(Doubling):
        def __call__(self, prepared, folder):
            if prepared.scan == "sub-02":
                # Libraries raise errors of their own in between.
                try:
                    raise fault
                except OSError as error:
                    raise RuntimeError("cannot write") from error
            return super().__call__(prepared, folder)

    expected = MachineError if isinstance(fault, OSError) else type(fault)
    with pytest.raises(expected):
        process(raw, tmp_path / "out", Failing(), on_bad_scan="exclude")
    again = Doubling()
    manifest = process(raw, tmp_path / "out", again, on_bad_scan="exclude")
    assert again.seen == ["sub-02", "sub-03"] and manifest["excluded"] == []


def test_with_no_room_left_no_error_is_a_scans(scans, tmp_path, monkeypatch):
    def broken(prepared, folder):
        raise RuntimeError("ITK could not write")

    monkeypatch.setattr(faults.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(MachineError, match="sub-01.*not of the scan"):
        process(raw_manifest("demo", "00", scans), tmp_path / "o", broken, on_bad_scan="exclude")


def test_what_was_damaged_since_an_earlier_step_leaves_no_scan_out(scans, tmp_path):
    def damaged(files):
        return next((f"make {path} again" for path in files if "sub-02" in path), "")

    with pytest.raises(MachineError, match=r"sub-02: .*is bad; make .*sub-02_T1w.nii.gz again"):
        process(
            raw_manifest("demo", "00", scans),
            tmp_path / "out",
            Doubling(("sub-01", "sub-02")),
            on_bad_scan="exclude",
            damaged=damaged,
        )


def test_a_truncated_file_is_a_scans_own_fault(scans, tmp_path):
    def broken(prepared, folder):
        raise OSError("Compressed file ended before the end-of-stream marker was reached")

    manifest = process(
        raw_manifest("demo", "00", scans), tmp_path / "out", broken, on_bad_scan="exclude"
    )
    assert len(manifest["excluded"]) == 3


def test_unexpected_errors_name_the_scan(scans, tmp_path):
    def broken(prepared, folder):
        raise RuntimeError("the toolkit gave up")

    with pytest.raises(CohortError, match="sub-02: RuntimeError: the toolkit gave up"):
        process(raw_manifest("demo", "00", scans), tmp_path / "out", broken)
    assert not list((tmp_path / "out").iterdir())


def test_unknown_reaction_is_refused(scans, tmp_path):
    with pytest.raises(ConfigError, match="stop, exclude"):
        process(raw_manifest("demo", "00", scans), tmp_path, Doubling(), on_bad_scan="ignore")


KILLED = """
import json, sys, time
from pathlib import Path
from normscan.preprocessing.shards import process_shard

def slow(prepared, folder):
    (folder / "half.txt").write_text("half")
    if prepared.scan == "sub-02":
        print("waiting", flush=True)
        time.sleep(60)
    return prepared

manifest = json.loads(Path(sys.argv[1]).read_text())
extra = {"steps": 5}
process_shard(manifest, sys.argv[2], slow, key_extra=extra, on_bad_scan="stop", step="double")
"""


def test_a_killed_job_goes_on_where_it_stopped(scans, tmp_path):
    manifest, out = raw_manifest("demo", "00", scans), tmp_path / "out"
    undisturbed = process(manifest, tmp_path / "undisturbed", Doubling())
    process({**manifest, "scans": manifest["scans"][:1]}, out, Doubling())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    library = str(Path(normscan.__file__).parents[1])
    job = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "manifest.json"), str(out)],
        env={**os.environ, "PYTHONPATH": library},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout.readline() == "waiting\n"
    os.kill(job.pid, signal.SIGKILL)
    job.wait(timeout=20)
    job.stdout.close()
    time.sleep(0.1)
    assert list(out.glob(".sub-02.partial"))
    step = Doubling()
    resumed = process(manifest, out, step)
    assert step.seen == ["sub-02", "sub-03"]
    assert not list(out.glob(".*"))
    text = json.dumps(undisturbed).replace("/undisturbed/", "/out/")
    assert json.loads(text) == resumed


def test_prepared_survives_json():
    prepared = Prepared(
        "sub-01_ses-2", "01", "2", "robex", {"T1w": "/a"}, "/b", "", {"T1w": ["/c"]}, {"T1w": "/d"}
    ).with_quality(brain_ml=1400.0)
    entry = json.loads(json.dumps({**prepared.to_json(), "key": "digest"}))
    assert Prepared.from_json(entry) == prepared


def test_reference_contrast():
    prepared = Prepared("sub-01", "01", images={"FLAIR": "/f", "T2w": "/t"})
    assert prepared.reference("T2w") == "T2w"
    assert prepared.reference("T1w") == "FLAIR"


def test_names_follow_bids():
    assert volume_name("sub-01", "robex", "strip_skull", "T1w") == (
        "sub-01_space-robex_desc-stripskull_T1w.nii.gz"
    )
    assert lesions_name("sub-01", "robex") == "sub-01_space-robex_desc-lesion_dseg.nii.gz"
    assert transform_name("sub-01", "T1w", "robex") == "sub-01_from-T1w_to-robex_xfm.mat"


def test_dataset_description_says_what_made_it(tmp_path):
    content = json.loads(write_dataset_description(tmp_path, "demo").read_text())
    assert content["DatasetType"] == "derivative"
    assert content["GeneratedBy"] == [{"Name": "normscan", "Version": normscan.__version__}]
    raw = json.loads(write_dataset_description(tmp_path, "demo", "raw").read_text())
    assert raw["DatasetType"] == "raw"


def test_a_derivatives_folder_says_whether_skulls_were_stripped(tmp_path):
    write_stripping(tmp_path, True, ["a/sub-01_FLAIR.nii.gz", "a/sub-02_FLAIR.nii.gz"])
    (written,) = tmp_path.iterdir()
    assert written.name == "FLAIR.json"
    assert json.loads(written.read_text()) == {"SkullStripped": True}


def test_a_derivatives_folder_says_what_is_bids_and_in_which_space(tmp_path):
    write_dataset_description(tmp_path, "ms after register")
    names = [volume_name("sub-01", "robex", "register", "FLAIR"), lesions_name("sub-01", "robex")]
    write_space(tmp_path, "robex", names)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"dataset_description.json", ".bidsignore", "FLAIR.json", "dseg.json"}
    assert json.loads((tmp_path / "FLAIR.json").read_text()) == {"SpatialReference": "robex"}
    assert "record.json\n" in (tmp_path / ".bidsignore").read_text()
