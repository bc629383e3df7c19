"""What housekeeping removes, and what it never touches."""

import json

import pytest

from normscan.digests import damages, write_record
from normscan.files import atomic_path
from normscan.housekeeping import (
    intermediates,
    remove_intermediates,
    remove_partial,
    stage_sizes,
)

CHAIN = "preprocessed/raw+register"
MAPS = "maps/raw+register/FLAIR-64/healthy/vae/seed-0"
FOUND = "detections/demo/vae/seed-0"
GOES = [
    f"{CHAIN}/ms/00.json",
    f"{CHAIN}/ms/sub-1/record.json",
    f"{CHAIN}/ms/sub-1/sub-1_FLAIR.nii.gz",
    f"{MAPS}/ms/00.json",
    f"{MAPS}/ms/00.npy",
    f"{MAPS}/ms/00.expected.npy",
    f"{FOUND}/detected/ms/00.json",
    f"{FOUND}/filtered-none/ms/00.json",
    f"{FOUND}/filtered-none/ms/00.npy",
]
STAYS = [
    "report.html",
    "metrics.tsv",
    "preprocessed/raw/ms/00.json",
    f"{CHAIN}/ms/dataset_description.json",
    f"{CHAIN}/ms/sub-1/sub-1_transform.mat",
    f"{CHAIN}/ms/sub-1/sub-1_label-brain_mask.nii.gz",
    "slices/raw+register/FLAIR-64/ms/00.json",
    "slices/raw+register/FLAIR-64/ms/00.npy",
    "slices/raw+register/FLAIR-64/ms/00.brain.npy",
    "slices/raw+register/FLAIR-64/ms/00.lesion.npy",
    "models/raw+register/FLAIR-64/healthy/vae/seed-0/bundle.json",
    f"{MAPS}/tuned.json",
    f"{FOUND}/thresholds.json",
    f"{FOUND}/filtered-none/ms/00.npz",
    f"{FOUND}/filtered-none/ms/00-residuals.json",
    f"{FOUND}/detected/ms/00.tsv",
    f"{FOUND}/detected/ms/00-components.tsv",
    f"{FOUND}/detected/ms/sub-1/sub-1_space-FLAIR_desc-filtered_map.nii.gz",
    "screening/new/demo/vae/seed-0/00.json",
    "screening/new/demo/vae/seed-0/00.npy",
    f"{FOUND}/detected/ms/sub-1/sub-1_space-FLAIR_label-anomaly_dseg.nii.gz",
    "simulated/ms/sub-1/anat/sub-1_FLAIR.nii.gz",
]


def made(folder):
    for name in GOES + STAYS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    image = folder / CHAIN / "ms/sub-1/sub-1_FLAIR.nii.gz"
    # An image that an earlier step made belongs to that step's folder.
    earlier = folder / "simulated/ms/sub-1/anat/sub-1_FLAIR.nii.gz"
    record = {"entry": {"images": {"FLAIR": str(image), "T1w": str(earlier)}}}
    (folder / CHAIN / "ms/sub-1/record.json").write_text(json.dumps(record))


def test_intermediates_go_and_results_stay(tmp_path):
    made(tmp_path)
    found = list(intermediates(tmp_path))
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(GOES)
    # An interruption leaves no manifest that names a missing volume or array.
    kinds = [path.name for path in found if path.is_relative_to(tmp_path / CHAIN)]
    assert kinds == ["00.json", "record.json", "sub-1_FLAIR.nii.gz"]
    kinds = [path.name for path in found if path.is_relative_to(tmp_path / MAPS)]
    assert kinds == ["00.json", "00.expected.npy", "00.npy"]
    size = sum(path.stat().st_size for path in found)
    assert remove_intermediates(tmp_path) == (len(GOES), size)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(STAYS)
    assert remove_intermediates(tmp_path) == (0, 0)


def test_what_went_on_purpose_is_no_damage(tmp_path):
    made(tmp_path)
    write_record(tmp_path, "detect", "00", [tmp_path / GOES[3]], [tmp_path / GOES[4]])
    write_record(tmp_path, "report", "all", [tmp_path / STAYS[0]], [])
    remove_intermediates(tmp_path)
    assert damages(tmp_path) == ([], 1)


def test_what_killed_jobs_left_counts_for_nothing_and_can_go(tmp_path):
    made(tmp_path)
    sizes = stage_sizes(tmp_path)
    kept = tmp_path / "simulated/ms/sub-1/.simulated.json"
    kept.write_text("x")
    partial = tmp_path / CHAIN / "ms/.sub-2.partial"
    partial.mkdir()
    (partial / "half.nii.gz").write_text("x")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / MAPS / "ms/00.npy") as temporary:
        raise RuntimeError
    # A process that is killed there removes nothing.
    temporary.write_text("x")
    sizes["simulated"] = (2, 2)
    assert stage_sizes(tmp_path) == sizes
    remove_partial(tmp_path)
    assert not temporary.exists() and not partial.exists() and kept.exists()
    assert stage_sizes(tmp_path) == sizes


def test_sizes_of_stages(tmp_path):
    made(tmp_path)
    sizes = stage_sizes(tmp_path)
    assert sizes["maps"] == (4, 4) and sizes["models"] == (1, 1)
    assert stage_sizes(tmp_path / "nothing") == {}
