"""From maps to scores through arrays: as if every volume had been computed as a whole."""

import numpy as np
import pandas
import pytest
from handed_on import filter_and_segment, write_detections
from made_pack import AFFINE, write_pack

from normscan.evaluation.found import Found
from normscan.evaluation.froc import froc_counts
from normscan.evaluation.region import evaluated_region, lesion_and_ignored
from normscan.evaluation.residuals import Residuals, load_residuals
from normscan.evaluation.segmentation import segmentation_scores
from normscan.files import load_nifti, read_json, read_tsv
from normscan.postprocessing.components import drop_small
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.histograms import ScoreHistogram, load_histograms
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

SHAPE, THRESHOLD, MINIMUM = (24, 24, 12), 0.08, 3
SETTINGS = {"erosion": 1, "median": 3}
LEAST = 40
FROC = (0.2, 0.1, 0.05)


def made_scan(seed: int) -> dict[str, np.ndarray]:
    """A brain in the middle, lesions of three labels, one of them above the last brain slice."""
    random = np.random.default_rng(seed)
    places = np.stack(np.indices(SHAPE), axis=-1) - (np.array(SHAPE) - 1) / 2
    brain = ((places / (9, 10, 4.6)) ** 2).sum(axis=-1) < 1
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[8:12, 9:13, 4:7] = 1
    lesion[14:17, 8:11, 5:7] = 2
    lesion[10:13, 15:17, 6:8] = 4
    top = np.flatnonzero(brain.any(axis=(0, 1)))[-1] + 1
    lesion[11:13, 11:13, top] = 1
    image = np.where(brain, random.random(SHAPE), 0)
    signed = random.normal(0, 0.05, SHAPE) + 0.15 * (lesion > 0)
    return {"brain": brain, "lesion": lesion, "image": image, "signed": signed.astype(np.float32)}


@pytest.fixture(scope="module")
def scans():
    return {f"sub-{number}": made_scan(number) for number in range(2)}


@pytest.fixture(scope="module", params=["hyperintense", "none"])
def results(request, scans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shard")
    pack = write_pack(folder, scans, min_brain_voxels=LEAST)
    signed = {name: one["signed"] for name, one in scans.items()}
    expected = {name: one["image"] for name, one in scans.items()}
    write_detections(folder, pack, signed, expected=expected)
    filter_and_segment(
        folder, pack, threshold=THRESHOLD, prior=request.param, froc=FROC, lesion_labels=[1, 4],
        minimum_voxels=MINIMUM, **SETTINGS,
    )  # fmt: skip
    return folder, request.param


def whole(scan: dict[str, np.ndarray], prior: str):
    """Volumes of a scan as no array ever held them: map, filtered map, lesion, ignored, region."""
    searched = scan["brain"].sum(axis=(0, 1)) >= LEAST
    assert 0 < searched.sum() < scan["brain"].any(axis=(0, 1)).sum()
    signed = np.where(searched, scan["signed"], np.float32(0))
    lesion, ignored = lesion_and_ignored(scan["lesion"], [1, 4])
    filtered = filter_map(signed, scan["brain"], prior=prior, **SETTINGS)
    return signed, filtered, lesion, ignored, evaluated_region(scan["brain"], lesion, ignored)


def test_maps_and_histograms_are_those_of_whole_volumes(results, scans):
    folder, prior = results
    histograms = load_histograms(folder / "filtered.npz")
    residuals = load_residuals(folder / "filtered-residuals.json")
    reader, index = RowReader(folder / "filtered.json"), load_index(folder / "00.json")
    for name, scan in scans.items():
        signed, filtered, lesion, ignored, region = whole(scan, prior)
        np.testing.assert_array_equal(reader.volume("filtered", index.scan(name)), filtered)
        expected = ScoreHistogram.of(filtered, lesion, region)
        np.testing.assert_array_equal(histograms[name].normal, expected.normal)
        np.testing.assert_array_equal(histograms[name].lesion, expected.lesion)
        # The lesion in a slice without brain is there, with the score 0: it counts as missed.
        assert expected.lesion.sum() == lesion.sum() and expected.lesion[0] >= 4
        for found, values in zip(residuals[name], (signed[region & ~lesion], signed[lesion])):
            assert found.to_json() == Residuals.of(values).to_json()


def test_scores_and_froc_are_those_of_whole_volumes(results, scans):
    folder, prior = results
    scores, froc = read_tsv(folder / "detected.tsv"), read_tsv(folder / "detected-froc.tsv")
    for name, scan in scans.items():
        _, filtered, lesion, ignored, _ = whole(scan, prior)
        detected = drop_small(filtered > THRESHOLD, MINIMUM)
        expected = segmentation_scores(detected, lesion, AFFINE, ignored)
        own = scores[scores["scan"] == name]
        assert dict(zip(own["metric"], own["value"])) == pytest.approx(expected, abs=0, nan_ok=True)
        rows = froc[froc["scan"] == name].drop(columns="scan").itertuples(index=False)
        assert [tuple(row) for row in rows] == froc_counts(filtered, lesion, FROC, MINIMUM, ignored)


def test_no_volume_is_written_unless_asked_for(results, scans):
    folder, _ = results
    assert not list(folder.glob("volumes/**/*.nii*"))
    manifest = read_json(folder / "detected.json")
    assert manifest["scans"] == {name: {} for name in scans}
    table = read_tsv(folder / "detected-components.tsv")
    assert list(dict.fromkeys(table["scan"])) == list(scans) and table.columns[0] == "scan"
    assert (table["component"] >= 1).all() and (table["voxels"] == table["atlas_voxels"]).all()


def test_volumes_are_written_as_configured_and_removed_when_no_longer(scans, tmp_path):
    one = {"sub-1": scans["sub-1"]}
    pack = write_pack(tmp_path, one)
    image = one["sub-1"]["image"]
    write_detections(tmp_path, pack, {"sub-1": one["sub-1"]["signed"]}, expected={"sub-1": image})
    wanted = {"detections": "both", "maps": "native", "reconstructions": "atlas"}
    filter_and_segment(tmp_path, pack, threshold=THRESHOLD, volumes=wanted, **SETTINGS)
    paths = read_json(tmp_path / "detected.json")["scans"]["sub-1"]
    assert set(paths) == {"detection", "native_detection", "native_map", "reconstruction"}
    there = [path for path in (tmp_path / "volumes").rglob("*") if path.is_file()]
    assert sorted(map(str, there)) == sorted(paths.values())
    volumes = {key: load_nifti(path)[0] for key, path in paths.items()}
    reader, index = RowReader(tmp_path / "filtered.json"), load_index(pack)
    filtered = reader.volume("filtered", index.scan("sub-1"))
    np.testing.assert_array_equal(volumes["detection"], filtered > THRESHOLD)
    # The native grid is the slice grid here.
    np.testing.assert_array_equal(volumes["native_detection"], volumes["detection"])
    np.testing.assert_allclose(volumes["native_map"], filtered, atol=1e-5)
    brain = one["sub-1"]["brain"]
    np.testing.assert_allclose(volumes["reconstruction"][brain], image[brain], atol=1e-3)
    wanted = {"maps": "both"}
    filter_and_segment(tmp_path, pack, threshold=None, volumes=wanted, **SETTINGS)
    manifest = read_json(tmp_path / "detected.json")
    assert set(manifest["scans"]["sub-1"]) == {"map", "native_map"} and manifest["rule"] == ""
    there = [path.name for path in (tmp_path / "volumes").rglob("*.nii.gz")]
    assert len(there) == 2 and all("desc-filtered_map" in name for name in there)


@pytest.mark.parametrize("wanted", ["native", "both", "none"])
def test_uncertainty_reaches_other_programs_in_native_space(scans, tmp_path, wanted):
    one = {"sub-1": scans["sub-1"]}
    pack = write_pack(tmp_path, one)
    spread = np.where(one["sub-1"]["brain"], np.random.default_rng(0).random(SHAPE), 0)
    write_detections(
        tmp_path, pack, {"sub-1": one["sub-1"]["signed"]}, uncertainty={"sub-1": spread}
    )
    volumes = {"uncertainties": wanted}
    filter_and_segment(tmp_path, pack, threshold=THRESHOLD, volumes=volumes, **SETTINGS)
    paths = read_json(tmp_path / "detected.json")["scans"]["sub-1"]
    keys = {"none": set(), "native": {"native_uncertainty"}}
    assert set(paths) == keys.get(wanted, {"uncertainty", "native_uncertainty"})
    # The native grid is the slice grid here.
    for path in paths.values():
        np.testing.assert_allclose(load_nifti(path)[0], spread, atol=1e-3)
        assert path.endswith("_desc-uncertainty_map.nii.gz")
    shown = Found(tmp_path / "detected.json").slices("sub-1", 6)
    np.testing.assert_allclose(shown["uncertainty"], spread[:, :, 6], atol=1e-3)


def test_an_approach_without_uncertainty_has_no_such_file(scans, tmp_path):
    pack = write_pack(tmp_path, {"sub-1": scans["sub-1"]})
    write_detections(tmp_path, pack, {"sub-1": scans["sub-1"]["signed"]})
    filter_and_segment(tmp_path, pack, volumes={"uncertainties": "both"}, **SETTINGS)
    assert read_json(tmp_path / "detected.json")["scans"]["sub-1"] == {}
    assert not list(tmp_path.rglob("*uncertainty*"))
    assert "uncertainty" not in Found(tmp_path / "detected.json").slices("sub-1", 6)


def test_a_map_without_a_sign_is_not_emptied_by_a_prior(scans, tmp_path):
    pack = write_pack(tmp_path, {"sub-1": scans["sub-1"]})
    signed = scans["sub-1"]["signed"]
    found = {}
    for name, given in (("all", {"prior": "none"}), ("unsigned", {"signed": False}), ("half", {})):
        folder = tmp_path / name
        folder.mkdir()
        write_detections(folder, pack, {"sub-1": -np.abs(signed)})
        filter_and_segment(folder, pack, **{"prior": "hyperintense", **given}, **SETTINGS)
        found[name] = load_histograms(folder / "filtered.npz")["sub-1"]
    assert not found["half"].normal[1:].any()
    np.testing.assert_array_equal(found["unsigned"].normal, found["all"].normal)
    content = read_json(tmp_path / "unsigned" / "filtered.json")
    assert (content["prior"], content["applied_prior"]) == ("hyperintense", "none")


def test_manifests_say_what_paths_say(results):
    folder, prior = results
    filtered, detected = (read_json(folder / f"{name}.json") for name in ("filtered", "detected"))
    for content in (filtered, detected):
        facts = [content[key] for key in ("cohort", "shard", "protocol", "variant", "seed")]
        assert facts == ["wmh", "00", "p", "vae", 0] and content["prior"] == prior


def test_empty_tables_have_their_columns(scans, tmp_path):
    pack = write_pack(tmp_path, {"sub-1": scans["sub-1"]})
    write_detections(tmp_path, pack, {})
    filter_and_segment(tmp_path, pack)
    for name in ("detected.tsv", "detected-froc.tsv", "detected-components.tsv"):
        table = read_tsv(tmp_path / name)
        assert isinstance(table, pandas.DataFrame) and table.columns[0] == "scan" and table.empty
