"""What screening writes of a shard, and what its pages read of that."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pandas
import pytest
from handed_on import run
from linked import Page, dead_links
from made_pack import write_pack

from normscan.detectors.applied import Applied
from normscan.files import load_nifti, read_json, read_tsv, write_json
from normscan.postprocessing.exported import write_record
from normscan.postprocessing.filter import filter_map
from normscan.report.screened import (
    Screened,
    joined,
    overview_row,
    read_screened,
    scan_pages,
    scan_table,
)
from normscan.report.screening import build_index_page
from normscan.report.unusual import Bundles
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

SHAPE = (16, 16, 10)
WILDCARDS = {"cohort": "wmh", "protocol": "p", "variant": "intensity", "seed": "0"}
POST = {"erosion": 0, "median": 1, "minimum_voxels": 2}


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    """Two scans with a bright spot each, of which one is left out; the manifest of the shard."""
    folder = tmp_path_factory.mktemp("screened")
    random = np.random.default_rng(0)
    scans = {}
    for name in ("sub-1", "sub-2"):
        brain = np.zeros(SHAPE, np.uint8)
        brain[2:14, 2:14, 1:9] = 1
        image = random.random(SHAPE) * brain
        image[5:8, 5:8, 4:6] = 3
        scans[name] = {"brain": brain, "lesion": np.zeros(SHAPE, np.uint8), "image": image}
    pack = write_pack(folder, scans)
    flagged = [{"scan": "sub-3", "reason": "quality control: cut off"}]
    write_json(pack, {**read_json(pack), "excluded": flagged})
    record = {
        "protocol": "p", "title": "Intensity", "model": "none", "detector": "intensity",
        "expected": "restored",
        "settings": {}, "seed": 0, "files": {}, "uses": [],
        "fingerprint": load_index(pack).settings,
        "thresholds": {"hyperintense": {"fixed": {"threshold": 0.4}}}, "primary_rule": "fixed",
        "postprocessing": POST,
        "healthy_ml": {"hyperintense": {"fixed": [0.0, 0.0, 0.001, 0.002, 1e6]}},
        "trained_on": {
            "contrasts": ["FLAIR"],
            "cohorts": {"ixi": {"train": 12, "validation": 3, "ages": [20.0, 65.0]}},
        },
    }  # fmt: skip
    write_record(folder / "bundle" / "approach.json", record)
    write_json(folder / "checked.json", {"excluded": {"wmh": {"sub-2": "truncated"}}})
    params = {
        "bundle": str(folder / "bundle"), "prior": "hyperintense", "contrast": "FLAIR",
        "on_bad_scan": "stop", "folder": str(folder / "out"), "device": "cpu",
    }  # fmt: skip
    (folder / "out").mkdir()
    inputs = {"index": pack, "checked": folder / "checked.json"}
    manifest = folder / "out" / "07.json"
    # The rule's output has no name.
    run("screen_scans.py", input=inputs, params=params, output=[manifest], wildcards=WILDCARDS)
    return folder, pack, manifest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uses": None}, "approach.json: lacks uses; another version exported it"),
        ({"uses": ["other"]}, "names no uses/other/weights.safetensors, uses/other/bundle.json"),
        ({"files": {"../../elsewhere.json": "0"}}, "elsewhere.json: leads outside of"),
        ({"files": {"bundle.json": "0"}}, "bundle.json: missing; export the bundle again"),
        ({"protocol": "x/../../../ESCAPED/y"}, "its folder is that of 'p'"),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused_in_words(
    screened, tmp_path, caplog, changes, message
):
    folder, pack, _ = screened
    record = read_json(folder / "bundle" / "approach.json") | changes
    kept = {key: value for key, value in record.items() if value is not None}
    write_record(tmp_path / "bundle" / "approach.json", kept)
    params = {
        "bundle": str(tmp_path / "bundle"), "prior": "hyperintense", "contrast": "FLAIR",
        "on_bad_scan": "stop", "folder": str(tmp_path), "device": "cpu",
    }  # fmt: skip
    inputs = {"index": pack, "checked": folder / "checked.json"}
    given = {"params": params, "output": [tmp_path / "07.json"], "wildcards": WILDCARDS}
    with pytest.raises(SystemExit):
        run("screen_scans.py", input=inputs, **given)
    assert message in caplog.text and "Traceback" not in caplog.text
    assert not (tmp_path / "07.json").exists()


def test_native_volumes_and_components_are_always_there(screened):
    folder, _, manifest = screened
    content = read_json(manifest)
    assert (content["cohort"], content["shard"], content["threshold"]) == ("wmh", "00", 0.4)
    left_out = {"sub-2": "truncated", "sub-3": "quality control: cut off"}
    assert content["excluded"] == left_out and list(content["scans"]) == ["sub-1"]
    files = content["scans"]["sub-1"]
    native = {key: load_nifti(files[key])[0] for key in ("native_map", "native_detection")}
    assert native["native_detection"].any() and native["native_map"].shape == SHAPE
    table = read_tsv(files["components"])
    assert table["voxels"].sum() == native["native_detection"].sum()
    assert not list((folder / "out").rglob("*desc-input*"))


def test_filtered_maps_are_arrays(screened):
    _, pack, manifest = screened
    reader, index = RowReader(manifest), load_index(pack)
    entry = index.scan("sub-1")
    filtered = reader.volume("filtered", entry)
    assert filtered[6, 6, 4] == filtered.max() and (filtered >= 0).all()
    # Filtered once more, without any prior: nothing else is to be taken away.
    again = filter_map(filtered, np.ones(SHAPE, bool), prior="none", erosion=0, median=1)
    np.testing.assert_array_equal(again, filtered)
    assert not reader.has("map") and not reader.has("expected")


def test_pages_read_the_arrays(screened, tmp_path, monkeypatch):
    folder, pack, manifest = screened
    shown = []

    def rows_of(rows, **_):
        shown.extend(rows)
        return None

    monkeypatch.setattr("normscan.report.screened.slice_rows", rows_of)
    monkeypatch.setattr("normscan.report.screened.save_figure", lambda _, path: (path, path))
    bundles = Bundles(tmp_path / "bundles.json")
    flags = {("p", "wmh"): {"sub-1": "cut off"}}
    found = read_screened([str(manifest)], {}, "hyperintense", folder / "out", bundles, flags)
    assert list(found.results) == ["sub-1"] and set(found.excluded) == {"sub-2", "sub-3"}
    assert [row["label"] for row in shown] and set(shown[0]) == {
        "label", "image", "map", "detection", "reconstruction_name"}  # fmt: skip
    assert shown[0]["reconstruction_name"] == "restored"
    assert any(row["detection"].any() for row in shown)
    hrefs = [one["href"] for one in found.results["sub-1"][0]["files"]]
    assert all((folder / "out" / href).is_file() for href in hrefs) and len(hrefs) == 3
    assert isinstance(joined(found.tables), pandas.DataFrame)
    (row,) = scan_table(found).to_dict("records")
    assert (row["scan"], row["approach"]) == ("sub-1", "p/intensity")
    filtered = RowReader(manifest).volume("filtered", load_index(pack).scan("sub-1"))
    assert row["volume_above_ml"] == pytest.approx((filtered > 0.4).sum() * voxel_ml(pack))
    # More than four of the five healthy scans of the bundle.
    assert (row["percentile"], row["healthy_scans"]) == (80, 5)
    assert row["note"] == "Flagged by quality control, protocol p: cut off."
    (result,) = found.results["sub-1"]
    assert result["scores"][1] == ("80", "percentile: 4 of 5 held-out healthy scans have less")
    digest = read_json(folder / "bundle" / "approach.json")["digest"]
    assert result["numbers"]["bundle"] == f"{digest}, format 2"
    assert result["numbers"]["trained on"] == (
        "FLAIR of ixi: 12 scans (3 more for validation; ages of the cohort 20 to 65)"
    )
    assert found.index("wmh", "none")["facts"]["bundle of p/intensity"] == f"{digest}, format 2"


def test_what_the_checks_found_odd_stands_on_the_pages(screened, tmp_path, monkeypatch):
    """On the scan's own page and its row of the index; of scans that have none, on the index."""
    folder, _, manifest = screened
    monkeypatch.setattr("normscan.report.screened.slice_rows", lambda rows, **_: None)
    monkeypatch.setattr("normscan.report.screened.save_figure", lambda _, path: (path, path))
    drawn = {"uri": "data:,", "lazy": False, "width": 1, "height": 1}
    monkeypatch.setattr("normscan.report.screening.picture", lambda _: drawn)
    bundles = Bundles(tmp_path / "bundles.json")
    found = read_screened([str(manifest)], {}, "hyperintense", folder / "out", bundles)
    odd = "a.nii.gz: interpolation rings around its brain"
    found.warn([f"sub-1: {odd}", "sub-9: its folder has no image"])
    ((scan, page),) = scan_pages("wmh", found, "viewer.js")
    assert scan == "sub-1" and f"Look at it: {odd}." in page
    index = build_index_page(found.index("wmh", "none"))
    assert f"Look at it: {odd}." in index and "its folder has no image" in index
    (row,) = scan_table(found).to_dict("records")
    assert row["note"] == f"Look at it: {odd}."


def voxel_ml(pack) -> float:
    return abs(np.linalg.det(np.asarray(load_index(pack).scan("sub-1").affine)[:3, :3])) / 1000


def test_a_page_by_another_bundle_than_before_says_so(screened, tmp_path, monkeypatch):
    _, _, manifest = screened
    monkeypatch.setattr("normscan.report.screened.save_figure", lambda _, path: (path, path))
    other = dict(read_json(manifest))
    other["bundle"] = {**other["bundle"], "digest": "another"}
    later = tmp_path / "later.json"
    write_json(later, other)
    for name, file in other["arrays"].items():
        (tmp_path / f"later{file.removeprefix('07')}").write_bytes(
            (manifest.parent / file).read_bytes()
        )
        other["arrays"][name] = f"later{file.removeprefix('07')}"
    write_json(later, other)

    def made(path):
        bundles = Bundles(tmp_path / "bundles.json")
        folder = manifest.parent
        found = read_screened([str(path)], {}, "hyperintense", folder, bundles)
        bundles.write()
        return found

    assert made(manifest).notes == made(manifest).notes == {}
    first = read_json(manifest)["bundle"]["digest"]
    for _ in range(2):
        found = made(later)
        (line,) = found.notes["sub-1"]
        assert f"by the bundle another; this page was made with {first} before" in line
        assert "before" in found.index("wmh", "none")["facts"]["bundle of p/intensity"]


class Spread:
    """A detector that is as sure everywhere."""

    def __init__(self, detector):
        self.detector = detector

    def detect(self, scan, seed):
        found = self.detector.detect(scan, seed)
        return replace(found, uncertainty=np.full(found.map.shape, 0.25, np.float32))


def test_uncertainty_is_in_native_space_and_on_the_page(screened, tmp_path, monkeypatch):
    folder, pack, _ = screened
    prepare = Applied.prepare
    monkeypatch.setattr(Applied, "prepare", lambda self, names: Spread(prepare(self, names)))
    params = {
        "bundle": str(folder / "bundle"), "prior": "hyperintense", "contrast": "FLAIR",
        "on_bad_scan": "stop", "folder": str(tmp_path), "device": "cpu",
    }  # fmt: skip
    inputs = {"index": pack, "checked": folder / "checked.json"}
    manifest = tmp_path / "07.json"
    run("screen_scans.py", input=inputs, params=params, output=[manifest], wildcards=WILDCARDS)
    files = read_json(manifest)["scans"]["sub-1"]
    spread, _ = load_nifti(files["native_uncertainty"])
    assert spread.shape == SHAPE and (spread[2:14, 2:14, 2:8] == 0.25).all()
    assert not spread[:, :, 0].any(), "nothing is said of slices without brain"
    shown = []
    monkeypatch.setattr("normscan.report.screened.slice_rows", lambda rows, **_: shown.extend(rows))
    monkeypatch.setattr("normscan.report.screened.save_figure", lambda _, path: (path, path))
    bundles = Bundles(tmp_path / "bundles.json")
    found = read_screened([str(manifest)], {}, "hyperintense", tmp_path, bundles)
    # Of a slice without brain, which fills up the page, nothing is known.
    assert all((row["uncertainty"] == 0.25 * row["image"].any()).all() for row in shown)
    assert any(row["uncertainty"].any() for row in shown)
    (result,) = found.results["sub-1"]
    assert "standard deviation of the reconstructions" in result["picture"]["caption"]
    titles = [one["title"] for one in result["files"]]
    assert "uncertainty in the scan's own space" in titles and len(titles) == 4


def test_every_page_has_a_viewer_and_all_of_them_one_library(screened):
    folder, _, manifest = screened
    out = folder / "out"
    said = ["sub-1: has 2 files for FLAIR", "sub-9: its folder has no image"]
    checked = {**read_json(folder / "checked.json"), "warnings": {"wmh": said}}
    write_json(folder / "checked.json", checked)
    write_json(folder / "quality.json", {"protocol": "p", "cohort": "wmh", "flagged": []})
    run(
        "screen_index.py",
        input={
            "results": [str(manifest)],
            "checked": folder / "checked.json",
            "quality": [folder / "quality.json"],
        },
        params={
            "prior": "hyperintense",
            "orientation": "radiological",
            "report": "../../report.html",
            "bundles": out / "bundles.json",
        },
        output={
            "page": out / "index.html",
            "table": out / "components.tsv",
            "scans": out / "scans.tsv",
            "viewer": out / "viewer" / "niivue.umd.js",
        },
        wildcards={"cohort": "wmh"},
    )
    page = (out / "sub-1.html").read_text()
    assert 'data-library="viewer/niivue.umd.js"' in page
    content = re.findall(r'id="viewer-content">(.*?)</script>', page)[0]
    assert json.loads(content)["radiological"] is True
    # Caption, viewer, foot of the page.
    assert page.count("left is on the right (radiological)") >= 3
    home = "../../report.html"
    for name in ("sub-1.html", "index.html"):
        assert [link for link in dead_links(out / name) if not link.startswith(home)] == []
        assert {home, f"{home}#leaderboards"} <= {*Page(out / name).links}
    assert f"{home}#approach-p-intensity" in Page(out / "sub-1.html").links
    assert "figures/sub-1_p_intensity.svg" in Page(out / "sub-1.html").links
    (approach,) = json.loads(content)["approaches"]
    assert approach["title"] == "Intensity (p)" and approach["components"]
    assert [one["kind"] for one in approach["layers"]] == ["map", "detection"]
    assert (out / "viewer" / "LICENSE.niivue.txt").is_file()
    index = html.unescape((out / "index.html").read_text())
    assert "viewer-content" not in index
    assert "Look at it: has 2 files for FLAIR" in html.unescape(page)
    assert "<b>sub-9</b>: its folder has no image" in index and "<b>sub-2</b>: truncated" in index
    assert "bundle of p/intensity" in index and "percentile among healthy scans" in index
    assert (out / "bundles.json").is_file()
    (row,) = read_tsv(out / "scans.tsv").to_dict("records")
    assert row["healthy_scans"] == 5


def test_the_index_tells_approaches_of_equal_titles_apart():
    table = pandas.DataFrame({"volume_ml": [1.0], "max_score": [0.5]})
    names = {"a/vae": "VAE", "b/vae": "VAE", "b/ae": "AE"}
    overview = [
        overview_row("sub-1", title, table) | {"name": name} for name, title in names.items()
    ]
    rows = Screened(overview=overview).rows()
    assert [one["approach"] for one in rows] == ["VAE (a)", "VAE (b)", "AE"]
