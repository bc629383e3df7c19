"""Fused maps of a shard: from filtered maps of the parts to everything after filtering."""

import numpy as np
import pandas
import pytest
from handed_on import evaluate, run, write_detections
from made_pack import write_pack
from sklearn.metrics import roc_auc_score

from normscan.evaluation.healthy_scans import Part
from normscan.evaluation.truth import load_brain, load_truth
from normscan.files import (
    file_digest,
    load_nifti,
    read_json,
    read_tsv,
    write_json,
    write_tsv,
)
from normscan.postprocessing.exported import write_record
from normscan.postprocessing.exported_fused import healthy_file
from normscan.postprocessing.fusing import load_healthy, rarity
from normscan.postprocessing.histograms import load_histograms, score_bins
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

SHAPE = (24, 24, 12)
EROSION = 1
SPLITS = {"sub-1": "test", "sub-2": "validation"}
HEALTHY = {"sub-h1": "validation", "sub-h2": "validation", "sub-h3": "validation"}
SETTINGS = {"least_scans": 0, "tail": 0.01}


def made_scan(seed: int, lesion: bool) -> dict[str, np.ndarray]:
    places = np.stack(np.indices(SHAPE), axis=-1) - (np.array(SHAPE) - 1) / 2
    brain = (((places / (9, 10, 4.6)) ** 2).sum(axis=-1) < 1).astype(np.uint8)
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:12, 9:13, 4:7] = lesion
    return {"brain": brain, "lesion": labels, "image": brain * 1.0}


def signed(seed: int, lesion: np.ndarray, scale: float) -> np.ndarray:
    """Noise of a scale, and lesions of twice to thrice its spread."""
    random = np.random.default_rng(seed)
    return ((random.normal(0, 1, SHAPE) + 2.5 * (lesion > 0)) * scale).astype(np.float32)


def filtered(folder, pack, name: str, maps, cohort: str) -> None:
    write_detections(folder, pack, maps)
    ends = {"manifest": ".json", "histograms": ".npz", "residuals": "-residuals.json"}
    run(
        "filter_maps.py",
        input={"maps": folder / "maps.json", "index": pack},
        params={
            "erosion": EROSION, "median": 1, "lesion_labels": [], "lesion_classes": {},
            "prior": "hyperintense",
        },
        output={key: folder / f"{name}{end}" for key, end in ends.items()},
        wildcards={
            "cohort": cohort, "shard": "00", "protocol": "p", "variant": name, "seed": "0",
            "prior": "hyperintense",
        },
    )  # fmt: skip


def fuse(
    folder, pack, *, weights=(0.5, 0.5), name="filtered", cohort="wmh", combine="sum", **changes
) -> dict:
    ends = {"manifest": ".json", "histograms": ".npz", "residuals": "-residuals.json"}
    healthy = folder.parent / "healthy"
    run(
        "fuse_maps.py",
        input={
            "filtered": [folder / "a.json", folder / "b.json"],
            "healthy": [healthy / "a-healthy.npz", healthy / "b-healthy.npz"],
            "index": pack,
        },
        params={
            "fused": [
                {"variant": one, "seed": 0, "weight": weight}
                for one, weight in zip("ab", weights)
            ],
            "settings": {**SETTINGS, **changes}, "combine": combine,
            "erosion": EROSION, "lesion_labels": [], "lesion_classes": {},
        },
        output={key: folder / f"{name}{end}" for key, end in ends.items()},
        wildcards={
            "cohort": cohort, "shard": "00", "protocol": "p", "variant": "both", "seed": "0",
            "prior": "hyperintense",
        },
    )  # fmt: skip
    return read_json(folder / f"{name}.json")


def count(folder, name: str) -> None:
    rows = [[scan, scan, split] for scan, split in HEALTHY.items()]
    table = pandas.DataFrame(rows, columns=["scan", "subject", "split"])
    write_tsv(folder / "subjects.tsv", table)
    run(
        "count_healthy.py",
        input={"filtered": [folder / f"{name}.json"], "subjects": [folder / "subjects.tsv"]},
        params={"cohorts": ["healthy"], "erosion": EROSION},
        output=[str(folder / f"{name}-healthy.npz")],
        wildcards={"protocol": "p", "variant": name, "seed": "0", "prior": "hyperintense"},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Patients and healthy scans with maps of two approaches of very different units."""
    root = tmp_path_factory.mktemp("fused")
    packs = {}
    for cohort, names, lesion in (("healthy", HEALTHY, 0), ("wmh", SPLITS, 1)):
        folder = root / cohort
        folder.mkdir()
        scans = {name: made_scan(number, bool(lesion)) for number, name in enumerate(names)}
        packs[cohort] = write_pack(folder, scans, cohort=cohort, min_brain_voxels=40)
        for offset, (part, scale) in enumerate({"a": 0.01, "b": 30.0}.items()):
            maps = {
                name: signed(100 * offset + 10 * lesion + number, one["lesion"], scale)
                for number, (name, one) in enumerate(scans.items())
            }
            filtered(folder, packs[cohort], part, maps, cohort)
            if not lesion:
                count(folder, part)
    fuse(root / "wmh", packs["wmh"])
    return root, packs


def volume(made, name: str, scan: str, cohort: str = "wmh") -> np.ndarray:
    folder, pack = made[0] / cohort, load_index(made[1][cohort])
    return RowReader(folder / f"{name}.json").volume("filtered", pack.scan(scan))


def test_it_is_the_mean_of_the_parts_tail_probabilities(made):
    expected = np.zeros(SHAPE)
    for part in "ab":
        healthy = load_healthy(made[0] / "healthy" / f"{part}-healthy.npz")
        table = rarity(healthy.counts.sum(axis=0), SETTINGS["tail"])
        expected += 0.5 * table[score_bins(volume(made, part, "sub-1"))]
    found = volume(made, "filtered", "sub-1")
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # Neither unit counts: the second part's scores are 3000 times those of the first.
    assert (found > 0).any() and found.max() < 20


def test_a_minimum_marks_what_is_rare_in_every_part(made):
    root, packs = made
    fuse(root / "wmh", packs["wmh"], name="least", combine="minimum")
    alone = []
    for name, weights in (("first", (1.0, 0.0)), ("second", (0.0, 1.0))):
        fuse(root / "wmh", packs["wmh"], name=name, weights=weights)
        alone.append(volume(made, name, "sub-1"))
    found = volume(made, "least", "sub-1")
    np.testing.assert_array_equal(found, np.minimum(*alone))
    assert (found > 0).sum() < (alone[0] > 0).sum()


def test_both_parts_together_tell_lesions_better_than_each(made):
    index, pack = load_index(made[1]["wmh"]), made[1]["wmh"]
    lesion = np.concatenate([load_truth(pack, scan, [])[0].ravel() for scan in index.scans])
    brain = np.concatenate([load_brain(pack, scan).ravel() for scan in index.scans])

    def area(name):
        maps = [volume(made, name, scan.scan).ravel() for scan in index.scans]
        return roc_auc_score(lesion[brain], np.concatenate(maps)[brain])

    assert area("filtered") > max(area("a"), area("b")) + 0.01


def test_weights_count(made):
    root, packs = made
    fuse(root / "wmh", packs["wmh"], weights=(1.0, 0.0), name="alone")
    first = volume(made, "a", "sub-2")
    alone = volume(made, "alone", "sub-2")
    order = np.argsort(first, axis=None, kind="stable")
    assert (np.diff(alone.ravel()[order]) >= 0).all()
    assert ((alone > 0) == (first > 0)).all()


def test_no_other_scan_and_no_truth_has_a_part_in_a_map(made):
    root, packs = made
    folder = root / "wmh"
    before = (folder / "filtered.npy").read_bytes()
    layer = packs["wmh"].with_suffix(".lesion.npy")
    lesion = np.load(layer)
    np.save(layer, np.roll(lesion, 3, axis=1))
    fuse(folder, packs["wmh"])
    np.save(layer, lesion)
    assert (folder / "filtered.npy").read_bytes() == before
    content = {part: read_json(folder / f"{part}.json") for part in "ab"}
    for part, one in content.items():
        only = {"sub-2": one["scans"]["sub-2"]}
        write_json(folder / f"{part}.json", {**one, "scans": only})
    fuse(folder, packs["wmh"], name="single")
    for part, one in content.items():
        write_json(folder / f"{part}.json", one)
    np.testing.assert_array_equal(
        volume(made, "single", "sub-2"), volume(made, "filtered", "sub-2")
    )
    fuse(folder, packs["wmh"])
    assert (folder / "filtered.npy").read_bytes() == before


def test_scans_that_only_some_parts_have_maps_of_are_left_out(made):
    root, packs = made
    folder = root / "wmh"
    content = read_json(folder / "b.json")
    write_json(folder / "b.json", {**content, "scans": {"sub-2": content["scans"]["sub-2"]}})
    found = fuse(folder, packs["wmh"], name="some")
    write_json(folder / "b.json", content)
    assert list(found["scans"]) == ["sub-2"]


def test_a_healthy_scan_is_not_compared_with_itself(made):
    root, packs = made
    folder = root / "healthy"
    found = fuse(folder, packs["healthy"], cohort="healthy", weights=(1.0, 0.0))
    assert found["compared_with_itself"] == []
    others = load_healthy(folder / "a-healthy.npz").counts.sum(axis=0)
    own = load_histograms(folder / "a.npz")["sub-h2"].normal
    inside = volume(made, "a", "sub-h2", "healthy")
    # Zeros outside of the eroded mask are no healthy voxels.
    own[0] = 0
    table_of_all = rarity(others, SETTINGS["tail"])
    highest = np.unravel_index(inside.argmax(), SHAPE)
    fused = volume(made, "filtered", "sub-h2", "healthy")
    beyond = others.copy()
    beyond[1:] -= own[1:]
    bins = score_bins(inside)[highest]
    assert beyond.sum() < others.sum()
    assert fused[highest] > table_of_all[bins]


def test_a_slice_on_its_own_stays_so_without_the_scan_itself(made):
    root, packs = made
    folder, scans = root / "healthy", len(HEALTHY)
    # 12 slices of about 200 voxels: windows are too small, whatever scans they have.
    content = fuse(folder, packs["healthy"], cohort="healthy", least_scans=scans, name="own")
    assert [one["slices_of_their_own"] for one in content["parts"]] == [0, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("normscan.postprocessing.fusing.FEWEST_VOXELS", 100)
        content = fuse(folder, packs["healthy"], cohort="healthy", least_scans=scans, name="own")
        fuse(folder, packs["healthy"], cohort="healthy", name="pooled")
    assert all(one["slices_of_their_own"] > 3 for one in content["parts"])
    own, pooled = (volume(made, one, "sub-h2", "healthy") for one in ("own", "pooled"))
    assert (own != pooled).any() and ((own > 0) == (pooled > 0)).all()


def test_two_scans_of_one_subject_are_left_out_together(made):
    root, packs = made
    folder, index = root / "healthy", packs["healthy"]
    fuse(folder, index, cohort="healthy")
    before = volume(made, "filtered", "sub-h2", "healthy")
    content = read_json(index)
    for scan in content["scans"][:2]:
        scan["subject"] = "same"
    write_json(index.with_name("same.json"), content)
    text = index.read_text()
    index.write_text(index.with_name("same.json").read_text())
    fuse(folder, index, cohort="healthy")
    after = volume(made, "filtered", "sub-h2", "healthy")
    third = load_histograms(folder / "a.npz")["sub-h3"].normal
    index.write_text(text)
    assert (after != before).any()
    # One scan is left: no voxel is rarer than the tail beyond its scores.
    usual = before > 0
    assert third.sum() and np.corrcoef(before[usual], after[usual])[0, 1] > 0.99


def test_one_healthy_subject_is_compared_with_itself_and_that_is_said(made, caplog):
    root, packs = made
    folder, index = root / "healthy", packs["healthy"]
    text = index.read_text()
    content = read_json(index)
    for scan in content["scans"]:
        scan["subject"] = "same"
    write_json(index, content)
    found = fuse(folder, index, cohort="healthy")
    index.write_text(text)
    assert found["compared_with_itself"] == list(HEALTHY)
    assert "no other held-out healthy subject" in caplog.text


def test_the_manifest_says_what_stands_behind_it(made):
    content = read_json(made[0] / "wmh" / "filtered.json")
    assert [one["healthy_scans"] for one in content["parts"]] == [3, 3]
    assert all(one["slices_of_their_own"] == 0 for one in content["parts"])
    healthy = load_healthy(made[0] / "healthy" / "a-healthy.npz")
    assert content["parts"][0]["healthy_voxels"] == healthy.voxels
    # Too little brain is not searched, and no healthy tissue to compare with.
    index = load_index(made[1]["healthy"])
    searched = {index.scans[0].z[row] for row in index.scans[0].rows_with_brain(40)}
    assert set(np.flatnonzero(healthy.present[0])) <= searched < set(index.scans[0].z)


def test_everything_after_it_is_as_of_any_map(made):
    root, packs = made
    folder = root / "wmh"
    fuse(folder, packs["wmh"])
    write_json(folder / "thresholds.json", {"hyperintense": {"fixed": {"threshold": 3.0}}})
    write_json(folder / "froc.json", {"hyperintense": [2.0, 4.0]})
    run(
        "segment.py",
        input={
            "filtered": folder / "filtered.json", "index": packs["wmh"],
            "thresholds": folder / "thresholds.json", "froc": folder / "froc.json",
        },
        params={
            "prior": "hyperintense", "minimum_voxels": 1, "primary": "fixed", "contrast": "FLAIR",
            "lesion_labels": [], "folder": str(folder / "volumes"),
            "volumes": {
                "detections": "atlas", "maps": "atlas", "reconstructions": "atlas",
                "uncertainties": "atlas",
            },
        },
        output={
            "manifest": folder / "detected.json", "scores": folder / "detected.tsv",
            "froc": folder / "detected-froc.tsv", "components": folder / "detected-components.tsv",
            "slices": folder / "detected-slices.tsv",
        },
        wildcards={
            "cohort": "wmh", "shard": "00", "protocol": "p", "variant": "both", "seed": "0",
        },
    )  # fmt: skip
    metrics, curves = evaluate(folder, SPLITS, prior="hyperintense")
    areas = metrics.query("metric == 'auroc' and level == 'cohort'")["value"]
    assert len(areas) and (areas > 0.8).all() and set(curves) == {"test", "validation"}
    written = {path.name for path in (folder / "volumes" / "sub-1").iterdir()}
    assert written == {
        "sub-1_label-anomaly_dseg.nii.gz", "sub-1_desc-filtered_map.nii.gz"
    }  # fmt: skip


def test_patients_are_compared_with_slices_without_lesions(made, tmp_path):
    """In place of healthy scans; the patient itself is left out."""
    folder, pack = made[0] / "wmh", made[1]["wmh"]
    table = pandas.DataFrame(
        [[scan, scan, "validation"] for scan in SPLITS], columns=["scan", "subject", "split"]
    )
    write_tsv(tmp_path / "subjects.tsv", table)
    run(
        "count_healthy.py",
        input={"filtered": [folder / "a.json"], "subjects": [tmp_path / "subjects.tsv"]},
        params={"cohorts": ["wmh"], "erosion": EROSION},
        output=[str(tmp_path / "a-healthy.npz")],
        wildcards={"protocol": "p", "variant": "a", "seed": "0", "prior": "hyperintense"},
    )
    healthy = load_healthy(tmp_path / "a-healthy.npz")
    assert healthy.scans == ("wmh/sub-1", "wmh/sub-2")
    # The lesions are in slices 4 to 6.
    assert not healthy.present[:, 4:7].any() and healthy.present[:, 3].all()
    assert healthy.counts[4:7].sum() == 0 < healthy.counts[3].sum()
    part = Part(
        folder / "a.json", tmp_path / "a-healthy.npz", least_scans=0, tail=0.0, erosion=EROSION
    )
    scan = load_index(pack).scan("sub-1")
    others = part.tables_for(scan)
    assert not part.compared_with_itself and (others != part.tables).any()


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
