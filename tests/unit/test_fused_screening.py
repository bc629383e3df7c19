"""Screening with a fused approach: the maps that its parts left, and its bundle."""

import numpy as np
import pytest
from handed_on import run
from made_fused import (
    EROSION,
    SETTINGS,
    SPLITS,
    made,
    volume,
)

from normscan.files import (
    file_digest,
    load_nifti,
    read_json,
    read_tsv,
    write_json,
)
from normscan.postprocessing.exported import write_record
from normscan.postprocessing.exported_fused import healthy_file
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

__all__ = ["made"]


def screened(made, tmp_path, digests=("A", "B"), **changes):
    """What a bundle of both parts makes of the patients' maps, as parts would leave them."""
    root, packs = made
    folder, thresholds = tmp_path / "bundle", {"hyperintense": {"fixed": {"threshold": 1.5}}}
    files = {}
    for number, part in enumerate("ab"):
        name = healthy_file(number, "hyperintense")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copied = (root / "healthy" / f"{part}-healthy.npz").read_bytes()
        (folder / name).write_bytes(copied)
        files[name] = file_digest(folder / name)
        content = read_json(root / "wmh" / f"{part}.json")
        about = {"bundle": {"digest": "AB"[number]}, "excluded": {"sub-9": "truncated"}}
        write_json(root / "wmh" / f"{part}-screened.json", content | about)
    record = {
        "protocol": "p", "title": "Both", "model": "none", "detector": "fuse", "uses": {},
        "expected": "reconstruction", "seed": 0, "files": files, "thresholds": thresholds,
        "settings": {"fuse": ["a", "b"], "weights": "equal", "combine": "sum", "seeds": "own",
                     "position": "slice", "least_scans": 20, "tail": SETTINGS["tail"]},
        "fingerprint": load_index(packs["wmh"]).settings, "primary_rule": "fixed",
        "postprocessing": {"erosion": EROSION, "median": 1, "minimum_voxels": 2},
        "parts": [
            {"variant": one, "seed": 0, "weight": 0.5, "digest": digest}
            for one, digest in zip("ab", digests)
        ],
    }  # fmt: skip
    write_record(folder / "approach.json", record | changes)
    run(
        "screen_fused.py",
        input={
            "screened": [root / "wmh" / f"{part}-screened.json" for part in "ab"],
            "index": packs["wmh"],
        },
        params={
            "bundle": str(folder), "prior": "hyperintense", "contrast": "FLAIR",
            "folder": str(tmp_path / "out"),
        },
        output=[tmp_path / "00.json"],
        wildcards={"cohort": "wmh", "protocol": "p", "variant": "both", "seed": "0"},
    )  # fmt: skip
    return read_json(tmp_path / "00.json")


def test_a_screened_scan_gets_the_map_that_it_gets_in_a_study(made, tmp_path):
    content = screened(made, tmp_path)
    index = load_index(made[1]["wmh"])
    assert list(content["scans"]) == list(SPLITS) and content["excluded"] == {"sub-9": "truncated"}
    found = RowReader(tmp_path / "00.json").volume("filtered", index.scan("sub-1"))
    np.testing.assert_array_equal(found, volume(made, "filtered", "sub-1"))
    native = load_nifti(content["scans"]["sub-1"]["native_detection"])[0]
    table = read_tsv(content["scans"]["sub-1"]["components"])
    assert len(table) and native.sum() == table["voxels"].sum()
    assert content["threshold"] == 1.5 and content["approach"]["detector"] == "fuse"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digests": ("A", "C")}, "its part 'b', seed 0, is not the one that it was exported"),
        ({"parts": []}, "parts: must be a list of what it is fused of"),
        ({"parts": [{"variant": "a"}]}, "parts.0: lacks, or has no proper, seed, weight, digest"),
        ({"settings": {"combine": "product"}}, "settings.combine: found 'product'"),
        ({"files": {}}, "files: names no parts/0-hyperintense.npz, parts/1-hyperintense.npz"),
    ],
)
def test_a_fused_bundle_that_is_not_whole_is_refused_in_words(
    made, tmp_path, caplog, changes, message
):
    with pytest.raises(SystemExit):
        screened(made, tmp_path, **changes)
    assert message in caplog.text and "Traceback" not in caplog.text
    assert not (tmp_path / "00.json").exists()
