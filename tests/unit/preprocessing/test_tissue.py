"""Three tissues of a brain: as they are known, in every contrast, or an error that says what is."""

from dataclasses import replace

import numpy as np
import pytest

from normscan.cohorts.simulation.anatomy import subject_anatomy
from normscan.cohorts.simulation.contrasts import contrast_volume
from normscan.cohorts.simulation.lesions import Lesions
from normscan.cohorts.simulation.scanner import bias_field, rician
from normscan.errors import ScanError
from normscan.files import save_nifti
from normscan.preprocessing import segment_tissue
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.segment_tissue import BRIGHTNESS, by_tissue, classes
from normscan.preprocessing.shards import process_shard
from normscan.preprocessing.volumes import Prepared
from normscan.slices.index import layer_volume, load_index, open_layer
from normscan.slices.pack import pack_shard
from normscan.slices.store import SliceStore


@pytest.fixture(scope="module")
def nested():
    """A ball of three nested tissues (1 outside, 3 inside), 0 around it."""
    depth = np.linalg.norm(np.indices((32, 32, 32)) - 15.5, axis=0)
    return np.select([depth < 6, depth < 9, depth < 12], [3, 2, 1], 0)


def shown(tissues, contrast, noise=0.02):
    """Intensities of a contrast."""
    rng = np.random.default_rng(1)
    rank = np.zeros(4, int)
    rank[list(BRIGHTNESS[contrast])] = [1, 2, 3]
    values = np.array([0, 0.3, 0.6, 1.0])[rank[tissues]]
    return (values + noise * rng.normal(size=values.shape) * (tissues > 0)).astype(np.float32)


def grid_of(volume):
    return Grid(volume.shape, np.diag([2.0, 2, 2, 1]))


@pytest.mark.parametrize("contrast", ["T1w", "T2w", "FLAIR", "PD"])
def test_tissues_are_found_whatever_their_order_of_brightness(nested, contrast):
    found = classes(shown(nested, contrast), nested > 0, grid_of(nested))
    assert (by_tissue(found, contrast) == nested).mean() > 0.99
    assert not found[nested == 0].any()


def test_a_field_of_other_scale_changes_nothing_and_bits_repeat(nested):
    volume = shown(nested, "T1w")
    found = [classes(factor * volume, nested > 0, grid_of(nested)) for factor in (1, 1, 700)]
    assert np.array_equal(found[0], found[1])
    assert (found[0] == found[2]).mean() > 0.999


def test_bright_lesions_are_no_class_of_their_own(nested):
    volume = shown(nested, "FLAIR")
    lesion = np.zeros(nested.shape, bool)
    lesion[10:13, 10:14, 13:18] = True
    assert 0.005 < lesion.sum() / (nested > 0).sum() < 0.02
    volume[lesion] = 1.6
    found = by_tissue(classes(volume, nested > 0, grid_of(nested)), "FLAIR")
    assert (found == nested)[~lesion].mean() > 0.98


def test_scans_that_were_z_scored_before(nested):
    volume = shown(nested, "T1w")
    inside = volume[nested > 0]
    scores = np.where(nested > 0, (volume - inside.mean()) / inside.std(), 0).astype(np.float32)
    found = by_tissue(classes(scores, nested > 0, grid_of(nested)), "T1w")
    assert (found == nested).mean() > 0.99


def test_a_few_bright_vessels_are_no_class_of_their_own(nested):
    volume = shown(nested, "T1w")
    vessels = np.flatnonzero(nested == 1)[::1000]
    volume.ravel()[vessels] = 4
    found = by_tissue(classes(volume, nested > 0, grid_of(nested)), "T1w")
    assert (found == nested).mean() > 0.99


@pytest.fixture(scope="module")
def anatomy():
    return subject_anatomy(np.random.default_rng(3), 3.0, head=False)


# Spinal fluid between folds shares its voxels of 3 mm with grey matter.
@pytest.mark.parametrize(
    ("contrast", "least"), [("T1w", (0.3, 0.8, 0.9)), ("T2w", (0.3, 0.8, 0.8))]
)
def test_a_simulated_brain_with_bias_and_noise(anatomy, contrast, least):
    rng = np.random.default_rng(5)
    volume = contrast_volume(rng, anatomy, Lesions(), contrast)
    volume = rician(rng, volume * bias_field(rng, volume.shape, 0.2), 0.02) * anatomy.brain
    grid = Grid(volume.shape, anatomy.affine)
    found = by_tissue(classes(volume.astype(np.float32), anatomy.brain, grid), contrast)
    truth = np.where(anatomy.brain, anatomy.fractions[:3].argmax(axis=0) + 1, 0)
    for tissue, expected in enumerate(least, 1):
        both = ((found == tissue) & (truth == tissue)).sum()
        assert 2 * both / ((found == tissue).sum() + (truth == tissue).sum()) > expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda volume, tissues: (tissues > 0).astype(np.float32), "one intensity"),
        (lambda volume, tissues: np.where(tissues == 3, 1.0, 0.5 * (tissues > 0)), ""),
    ],
    ids=["constant", "two tissues"],
)
def test_no_three_tissues_are_an_error_of_the_scan(nested, tmp_path, change, expected):
    volume = change(None, nested).astype(np.float32)
    scan = put_down(tmp_path, nested, {"T1w": volume})
    with pytest.raises(ScanError, match=rf"sub-01.*no three tissues.*{expected}") as error:
        step(scan, tmp_path)
    assert "segment_tissue.least_share" in str(error.value)


def test_a_tissue_that_is_too_small_is_said_with_its_share(nested, tmp_path):
    few = nested.copy()
    few[(nested == 3) & (np.indices(nested.shape)[0] > 10)] = 2
    scan = put_down(tmp_path, few, {"T1w": shown(few, "T1w")})
    with pytest.raises(ScanError, match=r"classes have .*%.* each must have at least 25%"):
        step(scan, tmp_path, least_share=0.25)


def test_a_brain_mask_is_needed(nested, tmp_path):
    scan = put_down(tmp_path, nested, {"T1w": shown(nested, "T1w")})
    with pytest.raises(ScanError, match="put 'strip_skull' before"):
        step(replace(scan, brain=""), tmp_path)


def test_images_become_label_maps_in_order_of_brightness(nested, tmp_path):
    shows = {name: shown(nested, name) for name in ("T1w", "T2w")}
    found = step(put_down(tmp_path, nested, shows), tmp_path)
    assert found.tissue == ""
    for name, volume in shows.items():
        labels, _ = read_volume(found.images[name])
        assert set(np.unique((3 * labels).round(4))) == {0, 1, 2, 3}
        inside = [volume[np.isclose(3 * labels, label)].mean() for label in (1, 2, 3)]
        assert inside == sorted(inside)


def test_a_layer_goes_with_the_scan_to_its_slices(nested, tmp_path):
    scan = put_down(tmp_path, nested, {"FLAIR": shown(nested, "FLAIR")})
    found = step(scan, tmp_path, output="layer")
    assert found.images == scan.images and found.tissue in found.files()
    manifest = {"cohort": "ixi", "shard": "0", "scans": [found.to_json()]}
    index_path = tmp_path / "0.json"
    pack_shard(
        manifest, tmp_path / "0.npy", index_path, contrasts=["FLAIR"], fingerprint={}, size=32
    )
    index = load_index(index_path)
    assert set(index.layers) == {"brain", "lesion", "tissue"}
    packed = layer_volume(index_path, "tissue", index.scans[0])
    assert (np.bincount(packed.ravel(), minlength=4)[1:] > 0).all()
    batch = SliceStore([index_path], layers=["tissue"]).scan("ixi/sub-01")
    assert np.array_equal(batch.layers["tissue"], open_layer(index_path, "tissue"))
    moved = found.with_paths(lambda path: f"/there{path}")
    assert moved.tissue == f"/there{found.tissue}"


def test_a_scan_that_fails_is_left_out_where_that_is_wanted(nested, tmp_path):
    good = put_down(tmp_path / "good", nested, {"T1w": shown(nested, "T1w")})
    flat = (nested > 0).astype(np.float32)
    bad = replace(put_down(tmp_path / "bad", nested, {"T1w": flat}), scan="sub-02", subject="02")
    scans = [{**one.to_json(), "key": one.scan} for one in (good, bad)]
    before = {"cohort": "ixi", "shard": "0", "chain": ["raw"], "space": "", "scans": scans}
    after = process_shard(
        {**before, "excluded": []},
        tmp_path / "out",
        lambda one, folder: step(one, folder),
        key_extra=[],
        on_bad_scan="exclude",
        step="segment_tissue",
    )
    assert [one["scan"] for one in after["scans"]] == ["sub-01"]
    assert "no three tissues" in str(after["excluded"])


def put_down(folder, tissues, images) -> Prepared:
    grid = grid_of(tissues)
    paths = {}
    for name, volume in images.items():
        paths[name] = str(folder / f"{name}.nii.gz")
        save_nifti(paths[name], volume, grid.affine, np.float32)
    brain = str(folder / "brain.nii.gz")
    save_nifti(brain, tissues > 0, grid.affine, np.uint8)
    return Prepared("sub-01", "01", "", "robex", paths, brain, native=paths)


def step(scan, tmp_path, **changes) -> Prepared:
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    return segment_tissue.run(scan, folder, seed=0, **{**segment_tissue.SETTINGS, **changes})
