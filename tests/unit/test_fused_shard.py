"""Fused maps of a shard: from filtered maps of the parts to everything after filtering."""

import numpy as np
import pandas
import pytest
from handed_on import evaluate, run
from made_fused import (
    EROSION,
    HEALTHY,
    SETTINGS,
    SHAPE,
    SPLITS,
    fuse,
    made,
    volume,
)
from sklearn.metrics import roc_auc_score

from normscan.evaluation.healthy_scans import Part
from normscan.evaluation.truth import load_brain, load_truth
from normscan.files import (
    read_json,
    write_json,
    write_tsv,
)
from normscan.postprocessing.fusing import load_healthy, rarity
from normscan.postprocessing.histograms import load_histograms, score_bins
from normscan.slices.index import load_index

__all__ = ["made"]


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
