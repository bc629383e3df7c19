"""Steps that work on the grid as it is: skull, bias, noise, normalisation, histograms."""

from dataclasses import replace

import made_heads as phantoms
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage
from skimage.exposure import match_histograms

from normscan.errors import ConfigError, ScanError
from normscan.preprocessing import (
    correct_bias,
    denoise,
    match_histogram,
    normalise,
    strip_skull,
)
from normscan.preprocessing.atlases import atlas, atlas_mask
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.masks import filled, filled_support, largest_component
from normscan.preprocessing.volumes import Prepared

GRID = phantoms.grid(4.0)
BRAIN = phantoms.mask(GRID, phantoms.brain)
STEPS = {
    "strip_skull": (strip_skull, {"method": "given", "skull_stripped": False}),
    "correct_bias": (correct_bias, {}),
    "denoise": (denoise, {}),
    "normalise": (normalise, {}),
}


@pytest.fixture
def scan(tmp_path):
    """A head in the phantom's space, with brain mask and two contrasts."""
    folder = tmp_path / "in"
    images = {
        name: phantoms.save(folder / f"{name}.nii.gz", phantoms.head(GRID, values), GRID)
        for name, values in (("T1w", phantoms.T1W), ("FLAIR", phantoms.FLAIR))
    }
    mask = phantoms.save(folder / "brain.nii.gz", BRAIN, GRID, np.uint8)
    return Prepared("sub-01", "01", "", "phantom", images, mask, native=images)


def out(tmp_path, name="out"):
    (tmp_path / name).mkdir(exist_ok=True)
    return tmp_path / name


def run(step, prepared, folder, **changes):
    module, context = STEPS[step]
    return module.run(prepared, folder, seed=0, **{**module.SETTINGS, **context, **changes})


def overlap(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("step", STEPS)
def test_steps_keep_grid_masks_and_repeat_exactly(step, scan, tmp_path):
    first = run(step, scan, out(tmp_path, "one"))
    second = run(step, scan, out(tmp_path, "two"))
    for contrast in ("T1w", "FLAIR"):
        one, grid = read_volume(first.images[contrast])
        assert grid.same_as(GRID)
        assert np.array_equal(one, read_volume(second.images[contrast])[0])
        assert not np.array_equal(one, read_volume(scan.images[contrast])[0])
    assert np.array_equal(read_mask(first.brain)[0], BRAIN)
    assert first.native == scan.native


def test_given_mask_cuts_exactly(scan, tmp_path):
    result = run("strip_skull", scan, out(tmp_path))
    before, after = read_volume(scan.images["T1w"])[0], read_volume(result.images["T1w"])[0]
    assert np.array_equal(after, np.where(BRAIN, before, 0))


def test_given_without_mask_is_an_error(scan, tmp_path):
    with pytest.raises(ScanError, match=r"sub-01.*no brain mask.*'given'"):
        run("strip_skull", replace(scan, brain=""), out(tmp_path))


def test_atlas_mask(scan, tmp_path, own_atlas):
    result = run(
        "strip_skull", replace(scan, brain=""), out(tmp_path), method="atlas", atlases=own_atlas
    )
    assert np.array_equal(read_mask(result.brain)[0], atlas_mask(atlas("phantom", own_atlas), GRID))
    assert overlap(read_mask(result.brain)[0], BRAIN) > 0.97


def test_stripped_scans_get_their_filled_support(scan, tmp_path):
    brain = phantoms.head(GRID, skull=False)
    hole = ndimage.binary_erosion(BRAIN, iterations=8)
    brain[hole] = 0
    brain[0:2, 0:2, 10:12] = 50
    path = phantoms.save(tmp_path / "brain_t1.nii.gz", brain, GRID)
    bare = replace(scan, images={"T1w": path}, brain="")
    result = run("strip_skull", bare, out(tmp_path), skull_stripped=True, method="robex")
    found = read_mask(result.brain)[0]
    assert found[hole].all()
    assert not found[0:2, 0:2, 10:12].any()
    assert overlap(found, BRAIN) > 0.95


def test_support_of_scans_whose_background_is_not_zero():
    brain = phantoms.head(GRID, skull=False)
    assert np.array_equal(filled_support(brain - 7), filled_support(brain))


@pytest.mark.parametrize("rounded", [True, False])
def test_ringing_around_a_stripped_brain_is_no_brain(rounded):
    """A brain moved by half a voxel with splines, against one moved linearly."""
    brain = 200 * phantoms.head(GRID, skull=False)
    rings = ndimage.shift(brain, (0.5, 0, 0), order=3)
    rings = np.rint(rings) if rounded else rings
    assert rings.min() < 0 and np.count_nonzero(rings) > 1.1 * BRAIN.sum()
    found = filled_support(rings)
    assert overlap(found, ndimage.shift(brain, (0.5, 0, 0), order=1) > 0) > 0.99


def test_empty_brain_is_an_error(scan, tmp_path):
    empty = phantoms.save(tmp_path / "none.nii.gz", np.zeros(GRID.shape), GRID, np.uint8)
    with pytest.raises(ScanError, match=r"sub-01.*no brain was found"):
        run("strip_skull", replace(scan, brain=empty), out(tmp_path))


FAKE_ROBEX = """#!{python}
import sys, nibabel, numpy as np
head, stripped, mask, seed = sys.argv[1:]
assert open("dat/here").read() == "yes"
image = nibabel.load(head)
data = (image.get_fdata() > {level}).astype("float32") * np.float32(1.00000006)
nibabel.save(nibabel.Nifti1Image(data, image.affine), mask)
"""


@pytest.fixture
def fake_robex(tmp_path, monkeypatch):
    """A stand-in for the program: it takes the same arguments and calls bright voxels brain."""
    import sys

    folder = tmp_path / "program"
    for name in ("dat", "ref_vols"):
        (folder / name).mkdir(parents=True)
    (folder / "dat" / "here").write_text("yes")
    (folder / "ROBEX").write_text(FAKE_ROBEX.format(python=sys.executable, level=300))
    (folder / "ROBEX").chmod(0o755)
    monkeypatch.setattr(strip_skull, "_robex_folder", lambda: folder)
    return folder


def test_robex_masks_are_binary_and_in_one_piece(scan, tmp_path, fake_robex):
    result = run("strip_skull", replace(scan, brain=""), out(tmp_path), method="robex")
    bright = read_volume(scan.images["T1w"])[0] > 300
    assert np.array_equal(read_mask(result.brain)[0], largest_component(bright))
    assert set(np.unique(read_volume(result.brain)[0])) == {0, 1}
    assert sorted(one.name for one in fake_robex.iterdir()) == ["ROBEX", "dat", "ref_vols"]


def test_failing_robex_names_scan_and_output(scan, tmp_path, fake_robex):
    (fake_robex / "ROBEX").write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    with pytest.raises(ScanError, match=r"sub-01.*code 3.*no such luck"):
        run("strip_skull", scan, out(tmp_path), method="robex")


def test_known_bias_field_is_removed():
    truth = phantoms.head(GRID, noise=3.0)
    points = phantoms.points_of(GRID)
    field = np.exp(0.5 * points[..., 0] / 80 + 0.3 * (points[..., 1] / 90) ** 2)
    corrected = correct_bias.n4(truth * field.astype(np.float32), BRAIN, GRID)
    white = ndimage.binary_erosion(BRAIN & (truth > 700))

    def variation(data):
        return data[white].std() / data[white].mean()

    assert variation(truth * field) > 3 * variation(truth)
    assert variation(corrected) < 1.3 * variation(truth)


def test_bias_correction_leaves_zscored_volumes_alone():
    data = phantoms.head(GRID, skull=False)
    scores = np.where(BRAIN, (data - data[BRAIN].mean()) / data[BRAIN].std(), 0).astype(np.float32)
    assert np.array_equal(correct_bias.n4(scores, BRAIN, GRID), scores)


def test_denoising_is_curvature_flow(scan, tmp_path):
    result = run("denoise", scan, out(tmp_path))
    before, after = read_volume(scan.images["T1w"])[0], read_volume(result.images["T1w"])[0]
    wanted = SimpleITK.CurvatureFlow(SimpleITK.GetImageFromArray(before.T), 0.0625, 5)
    assert np.allclose(after[BRAIN], SimpleITK.GetArrayFromImage(wanted).T[BRAIN], rtol=1e-5)
    assert np.array_equal(after[~BRAIN], before[~BRAIN])


def test_denoising_removes_noise_and_keeps_edges():
    edge = np.where(np.arange(40)[:, None, None] < 20, 100.0, 500.0) * np.ones((40, 20, 20))
    noisy = (edge + np.random.default_rng(0).normal(0, 20, edge.shape)).astype(np.float32)
    smooth = denoise.curvature_flow(noisy)
    assert smooth[5:15].std() < 0.7 * noisy[5:15].std()
    assert smooth[21:23].mean() - smooth[17:19].mean() > 0.95 * 400


def test_percentile_divides_by_the_brain_percentile():
    data = np.random.default_rng(0).gamma(4, 100, BRAIN.shape).astype(np.float32)
    result = normalise.normalised(data, BRAIN)
    wanted = np.where(BRAIN, data / np.percentile(data[BRAIN].astype(float), 98), 0)
    assert np.allclose(result, wanted, rtol=1e-6)
    assert np.percentile(result[BRAIN], 98) == pytest.approx(1, rel=1e-5)
    assert result.max() > 1
    assert normalise.normalised(data, BRAIN, ceiling=1.0).max() == 1


def test_few_negative_values_become_zero_and_many_are_shifted():
    rng = np.random.default_rng(0)
    some = rng.normal(100, 40, BRAIN.shape).astype(np.float32)
    result = normalise.normalised(some, BRAIN)
    assert result.min() == 0
    assert result[BRAIN & (some < 0)].max() == 0
    scores = rng.normal(0, 1, BRAIN.shape).astype(np.float32)
    shifted = normalise.normalised(scores, BRAIN)
    assert (shifted[BRAIN] == 0).mean() < 0.02
    assert np.corrcoef(shifted[BRAIN], scores[BRAIN])[0, 1] > 0.99


def test_zscore_and_minmax():
    data = np.random.default_rng(0).gamma(4, 100, BRAIN.shape).astype(np.float32)
    scores = normalise.normalised(data, BRAIN, "zscore")
    assert scores[BRAIN].mean() == pytest.approx(0, abs=1e-5)
    assert scores[BRAIN].std() == pytest.approx(1, abs=1e-5)
    assert not scores[~BRAIN].any()
    shares = normalise.normalised(data, BRAIN, "minmax")
    assert (shares[BRAIN].min(), shares[BRAIN].max()) == (0, 1)


def test_constant_brain_is_an_error(scan, tmp_path):
    flat = phantoms.save(tmp_path / "flat.nii.gz", np.full(GRID.shape, 5.0), GRID)
    with pytest.raises(ScanError, match=r"sub-01.*flat\.nii\.gz.*constant"):
        run("normalise", replace(scan, images={"T1w": flat}), out(tmp_path), method="zscore")


@pytest.mark.parametrize("step", STEPS)
def test_unknown_method_names_what_is_allowed(step, scan, tmp_path):
    with pytest.raises(ConfigError, match=rf"{step}\.method: found 'magic'; allowed: "):
        run(step, scan, out(tmp_path), method="magic")


def test_mask_on_another_grid_is_an_error(scan, tmp_path):
    grid = phantoms.grid(5.0)
    foreign = phantoms.save(tmp_path / "mask.nii.gz", np.ones(grid.shape), grid, np.uint8)
    with pytest.raises(ScanError, match=r"sub-01.*mask\.nii\.gz.*another grid"):
        run("denoise", replace(scan, brain=foreign), out(tmp_path))


def test_matching_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    values = rng.gamma(3, 50, 2000).astype(np.float32)
    wanted = rng.normal(500, 80, 3000).astype(np.float32)
    assert np.allclose(match_histogram.matched(values, wanted), match_histograms(values, wanted))


def test_histogram_of_the_reference_brain(scan, tmp_path):
    other = phantoms.head(GRID, seed=5).clip(0) ** 1.3
    paths = {
        "T1w": phantoms.save(tmp_path / "ref.nii.gz", other, GRID),
        "FLAIR": phantoms.save(tmp_path / "ref2.nii.gz", other, GRID),
    }
    result = match_histogram.run(
        scan, out(tmp_path), seed=0, reference_images=paths, reference_brain=scan.brain
    )
    data = read_volume(result.images["T1w"])[0]
    quantiles = [5, 25, 50, 75, 95]
    assert np.allclose(
        np.percentile(data[BRAIN], quantiles), np.percentile(other[BRAIN], quantiles), rtol=0.01
    )
    assert not data[~BRAIN].any()
    with pytest.raises(ScanError, match=r"sub-01.*no contrast 'FLAIR'.*T1w"):
        match_histogram.run(scan, out(tmp_path), seed=0, reference_images={"T1w": paths["T1w"]})


@pytest.mark.parametrize("role", ["healthy", "patients", "unlabelled"])
def test_healthy_scans_stay_as_they_are_where_patients_are_matched(scan, tmp_path, role):
    other = phantoms.save(tmp_path / "ref.nii.gz", phantoms.head(GRID, seed=5) + 3, GRID)
    result = match_histogram.run(
        scan, out(tmp_path), seed=0, scans="not_healthy", role=role,
        reference_images=dict.fromkeys(scan.images, other), reference_brain=scan.brain,
    )  # fmt: skip
    for contrast, path in result.images.items():
        before, after = (read_volume(p)[0] for p in (scan.images[contrast], path))
        assert np.array_equal(before, after) == (role == "healthy")
        assert path != scan.images[contrast]


def test_components_and_holes():
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[1:8, 1:8, 1:8] = True
    mask[4, 4, 4] = False
    mask[10, 10, 10] = True
    assert largest_component(mask).sum() == 7**3 - 1
    assert filled(largest_component(mask)).sum() == 7**3
    assert not largest_component(np.zeros((3, 3, 3), dtype=bool)).any()
    assert Grid(mask.shape, np.eye(4)).voxel_ml == pytest.approx(0.001)
