"""Pseudo-labels of a shard: the detections of the same approach, made without any label."""

import numpy as np
import pandas
import pytest
from handed_on import filter_and_segment, run, write_detections
from made_pack import write_pack

from normscan.errors import NormscanError
from normscan.files import load_nifti, read_json, write_json, write_tsv
from normscan.postprocessing.histograms import ScoreHistogram, save_histograms
from normscan.postprocessing.pseudo_labels import healthy_point
from normscan.postprocessing.thresholds import false_positive_limit
from normscan.slices.index import load_index, open_layer, stack_volume
from normscan.slices.rows import RowReader
from normscan.slices.store import SliceStore

SHAPE = (24, 24, 12)
SETTINGS = {"erosion": 1, "median": 3}
MINIMUM = 4
SPLITS = {"sub-0": "train", "sub-1": "validation", "sub-2": "test", "sub-3": "train"}
RULE = {"kind": "healthy_percentile", "settings": {"percentile": 90.0}}
WILDCARDS = {
    "cohort": "wmh", "shard": "00", "protocol": "p", "variant": "vae", "seed": "0",
    "threshold_rule": "healthy_percentile_90",
}  # fmt: skip


def made_scan(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    places = np.stack(np.indices(SHAPE), axis=-1) - (np.array(SHAPE) - 1) / 2
    brain = ((places / (9, 10, 4.6)) ** 2).sum(axis=-1) < 1
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[8:12, 9:13, 4:7] = seed != 3
    image = np.where(brain, random.random(SHAPE), 0)
    signed = random.normal(0, 0.05, SHAPE) + 0.4 * (lesion > 0)
    signed[8:12, 15:18, 4:7] = -0.4
    return {"brain": brain, "lesion": lesion, "image": image, "signed": signed.astype(np.float32)}


def healthy(folder) -> None:
    """Histograms of two healthy scans, of which one is a validation scan, and their table."""
    random = np.random.default_rng(9)
    nothing, everywhere = np.zeros(5000, bool), np.ones(5000, bool)
    scores = {"sub-h1": random.random(5000), "sub-h2": 10 * random.random(5000)}
    histograms = {
        name: ScoreHistogram.of(one.astype(np.float32), nothing, everywhere)
        for name, one in scores.items()
    }
    save_histograms(
        folder / "healthy.npz",
        histograms,
        cohort=np.array("healthy"),
        prior=np.array("hyperintense"),
    )
    rows = [["sub-h1", "h1", "validation"], ["sub-h2", "h2", "train"]]
    table = pandas.DataFrame(rows, columns=["scan", "subject", "split"])
    write_tsv(folder / "healthy.tsv", table)


def label(folder, pack, maps=("maps.json",), **params) -> None:
    run(
        "pseudo_label.py",
        input={
            "maps": [folder / name for name in maps],
            "index": pack,
            "subjects": folder / "subjects.tsv",
            "healthy": [folder / "healthy.npz"],
            "healthy_subjects": [folder / "healthy.tsv"],
        },
        params={
            "rule": RULE, "healthy_cohorts": ["healthy"], "prior": "hyperintense",
            "applied_prior": "hyperintense",
            "postprocessing": {**SETTINGS, "minimum_voxels": MINIMUM}, **params,
        },
        output=[str(folder / "pseudo.json")],
        wildcards=WILDCARDS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Maps, detections and pseudo-labels of four scans in one shard."""
    folder = tmp_path_factory.mktemp("pseudo")
    scans = {name: made_scan(number) for number, name in enumerate(SPLITS)}
    pack = write_pack(folder, scans, min_brain_voxels=40)
    write_detections(folder, pack, {name: one["signed"] for name, one in scans.items()})
    rows = [[name, name, split] for name, split in SPLITS.items()]
    write_tsv(folder / "subjects.tsv", pandas.DataFrame(rows, columns=["scan", "subject", "split"]))
    healthy(folder)
    label(folder, pack, rule={"kind": "healthy_fpr", "settings": {"rate": 0.85}})
    return folder, pack


def test_they_are_the_detections_of_the_same_approach(made):
    folder, pack = made
    content = read_json(folder / "pseudo.json")
    filter_and_segment(
        folder, pack, threshold=content["threshold"], prior="hyperintense", minimum_voxels=MINIMUM,
        volumes={"detections": "atlas"}, **SETTINGS,
    )  # fmt: skip
    reader, index, found = RowReader(folder / "pseudo.json"), load_index(pack), 0
    assert set(reader.scans) == {"sub-0", "sub-1", "sub-3"}
    for name in reader.scans:
        path = folder / "volumes" / name / f"{name}_label-anomaly_dseg.nii.gz"
        labels = reader.volume("pseudo", index.scan(name))
        np.testing.assert_array_equal(labels, load_nifti(path)[0])
        assert reader.scans[name]["voxels"] == labels.sum()
        found += labels.sum()
    assert found > 20
    # Scans that are evaluated have no labels; the array has their rows all the same.
    assert reader.array("pseudo").dtype == np.uint8
    assert not reader.array("pseudo")[index.scan("sub-2").rows].any()
    assert len(reader.array("pseudo")) == len(open_layer(pack, "brain"))


def test_true_labels_have_no_part_in_them(made):
    folder, pack = made
    before = (folder / "pseudo.json").read_bytes(), (folder / "pseudo.npy").read_bytes()
    layer = pack.with_suffix(".lesion.npy")
    lesion, random = np.load(layer), np.random.default_rng(3)
    np.save(layer, random.integers(0, 5, lesion.shape).astype(lesion.dtype))
    label(folder, pack, rule={"kind": "healthy_fpr", "settings": {"rate": 0.85}})
    np.save(layer, lesion)
    assert ((folder / "pseudo.json").read_bytes(), (folder / "pseudo.npy").read_bytes()) == before


def test_other_labels_are_another_manifest(made):
    folder, pack = made
    before = read_json(folder / "pseudo.json")
    signed = np.load(folder / "maps.npy")
    np.save(folder / "maps.npy", signed[::-1].copy())
    label(folder, pack, rule={"kind": "healthy_fpr", "settings": {"rate": 0.85}})
    after = read_json(folder / "pseudo.json")
    np.save(folder / "maps.npy", signed)
    label(folder, pack, rule={"kind": "healthy_fpr", "settings": {"rate": 0.85}})
    assert after["digests"] != before["digests"] == read_json(folder / "pseudo.json")["digests"]


def test_scans_may_be_in_either_of_two_lists_of_maps(made, tmp_path):
    folder, pack = made
    before = (folder / "pseudo.npy").read_bytes()
    for name, kept in (("some", ["sub-1", "sub-2"]), ("others", ["sub-0", "sub-3"])):
        content = read_json(folder / "maps.json")
        content["scans"] = {scan: content["scans"][scan] for scan in kept}
        write_json(folder / f"{name}.json", content)
    rule = {"kind": "healthy_fpr", "settings": {"rate": 0.85}}
    label(folder, pack, maps=["some.json", "others.json"], rule=rule)
    assert (folder / "pseudo.npy").read_bytes() == before
    with pytest.raises(SystemExit):
        label(folder, pack, maps=["others.json"], rule=rule)


def test_maps_without_a_sign_count_as_they_are(made):
    folder, pack = made
    rule = {"kind": "healthy_fpr", "settings": {"rate": 0.85}}
    before = np.load(folder / "pseudo.npy").sum()
    label(folder, pack, rule=rule, applied_prior="none")
    both = np.load(folder / "pseudo.npy").sum()
    label(folder, pack, rule=rule)
    assert both > before


def test_the_threshold_is_that_of_the_rule_on_healthy_validation_scans(made):
    folder, _ = made
    files = [str(folder / "healthy.npz")], ["healthy"], [str(folder / "healthy.tsv")]
    scores = np.random.default_rng(9).random(5000).astype(np.float32)
    alone = ScoreHistogram.of(scores, np.zeros(5000, bool), np.ones(5000, bool))
    found = healthy_point(RULE["kind"], RULE["settings"], *files, "hyperintense")
    assert found == false_positive_limit(alone, 0.1)
    assert found == pytest.approx(np.percentile(scores, 90), rel=1e-3)
    with pytest.raises(NormscanError, match="healthy_percentile finds no threshold: no healthy"):
        healthy_point(RULE["kind"], RULE["settings"], *files, "none")


def test_they_are_a_layer_of_the_slices(made):
    folder, pack = made
    elsewhere = {"pseudo": [folder / "pseudo.json"]}
    names = ["wmh/sub-1", "wmh/sub-3"]
    store = SliceStore([pack], names, layers=["pseudo", "brain"], elsewhere=elsewhere)
    reader, index = RowReader(folder / "pseudo.json"), load_index(pack)
    for name in names:
        scan = index.scan(name.removeprefix("wmh/"))
        batch, rows = store.scan(name), scan.rows_with_brain(index.min_brain_voxels)
        np.testing.assert_array_equal(
            stack_volume(batch.layers["pseudo"], scan, rows), reader.volume("pseudo", scan)
        )
        np.testing.assert_array_equal(
            batch.layers["brain"], open_layer(pack, "brain")[scan.rows][rows]
        )
    with pytest.raises(NormscanError, match=r"no layer 'pseudo' of sub-2 .*pseudo.json"):
        SliceStore([pack], layers=["pseudo"], elsewhere=elsewhere)
    with pytest.raises(NormscanError, match=r"no layer 'pseudo' of sub-1, sub-3"):
        SliceStore([pack], names, layers=["pseudo"], elsewhere={"pseudo": []})


def test_labels_of_another_pack_are_refused(made, tmp_path):
    folder, pack = made
    content = read_json(folder / "pseudo.json")
    content["scans"]["sub-3"]["first"] += 1
    write_json(folder / "moved.json", content)
    with pytest.raises(NormscanError, match="moved.json: its rows are not those of the pack"):
        SliceStore(
            [pack], ["wmh/sub-3"], layers=["pseudo"], elsewhere={"pseudo": [folder / "moved.json"]}
        )


def test_a_rule_per_slice_teaches_as_well(made):
    folder, pack = made
    settings = {"population": "slice", "opening": 0.0, "least": 0.0, "saturate": None}
    label(folder, pack, rule={"kind": "otsu", "settings": settings})
    found, content = np.load(folder / "pseudo.npy"), read_json(folder / "pseudo.json")
    assert content["threshold"] is None and found.any()
    label(folder, pack, rule={"kind": "healthy_fpr", "settings": {"rate": 0.85}})
