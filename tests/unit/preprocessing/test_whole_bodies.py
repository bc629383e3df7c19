"""Scans with skull: the body in place of the brain, and intensities by the white matter peak."""

from dataclasses import replace

import made_heads as phantoms
import numpy as np
import pytest

from normscan.cohorts.simulation.anatomy import subject_anatomy
from normscan.cohorts.simulation.contrasts import contrast_volume
from normscan.cohorts.simulation.lesions import Lesions, place_tumour, tumour_lesions
from normscan.cohorts.simulation.noise import stream
from normscan.cohorts.simulation.scanner import bias_field, rician
from normscan.errors import ScanError
from normscan.preprocessing import find_body, normalise
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.masks import body_support, filled_support
from normscan.preprocessing.naming import shows_body
from normscan.preprocessing.normalise import around_peak
from normscan.preprocessing.quality import measure
from normscan.preprocessing.volumes import Prepared
from normscan.preprocessing.white_matter import white_matter_peak

SPACING = 4.0
CONTRASTS = ("T1w", "T2w", "FLAIR")


def simulated(head: bool, seed: int, *, tumour: bool):
    """A subject of the demo's simulation, with bias and noise: volumes by contrast, anatomy."""
    rng = stream(seed, "unit", "01", "lesion")
    found = place_tumour(rng, SPACING) if tumour else None
    own = stream(seed, "unit", "01", "anatomy")
    anatomy = subject_anatomy(own, SPACING, head=head, tumour=found)
    lesions = tumour_lesions(rng, anatomy, found) if found else Lesions()
    volumes = {}
    for contrast in CONTRASTS:
        rng = stream(seed, "unit", "01", contrast)
        volume = contrast_volume(rng, anatomy, lesions, contrast)
        volume = rician(rng, volume * bias_field(rng, volume.shape, 0.2), 0.02)
        volumes[contrast] = volume if head else volume * anatomy.brain
    return volumes, anatomy


@pytest.fixture(scope="module", params=["head with tumour", "brain"])
def subject(request):
    head = request.param != "brain"
    seed = len(request.param)
    return head, *simulated(head, seed, tumour="tumour" in request.param)


def test_body_holds_the_brain_and_no_air(subject):
    head, volumes, anatomy = subject
    if not head:
        pytest.skip("a brain is all there is of the body")
    extent = anatomy.fractions.sum(axis=0) > 0.5
    for volume in volumes.values():
        body = body_support(volume, np.full(3, SPACING))
        assert (body & anatomy.brain).sum() == anatomy.brain.sum()
        assert 2 * (body & extent).sum() / (body.sum() + extent.sum()) > 0.93


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_white_matter_lands_in_the_middle(subject, contrast):
    head, volumes, anatomy = subject
    volume, spacing = volumes[contrast], np.full(3, SPACING)
    mask = body_support(volume, spacing) if head else filled_support(volume)
    peak = white_matter_peak(volume, mask, spacing, contrast)
    found = around_peak(volume, mask, peak)
    white = anatomy.tissue("wm") > 0.95
    # Of a brain's T1w it is nearly the maximum: a small error is a large part of that range.
    assert np.median(volume[white]) == pytest.approx(peak, rel=0.05)
    assert (not head and contrast == "T1w") or np.median(found[white]) == pytest.approx(
        0.5, abs=0.03
    )
    assert found[mask].min() == 0 and found.max() == 1 and not found[~mask].any()


def test_peak_does_not_depend_on_scale_offset_or_axes(subject):
    head, volumes, _ = subject
    volume, spacing = volumes["T1w"], np.full(3, SPACING)
    mask = body_support(volume, spacing) if head else filled_support(volume)
    peak = white_matter_peak(volume, mask, spacing, "T1w")
    other = white_matter_peak(volume * 731 + 40, mask, spacing, "T1w")
    assert other == pytest.approx(731 * peak + 40, rel=1e-4)
    turned = white_matter_peak(volume.T.copy(), mask.T.copy(), spacing, "T1w")
    assert turned == pytest.approx(peak, rel=1e-4)


def test_steps_on_a_scan_without_brain_mask(subject, tmp_path):
    head, volumes, anatomy = subject
    if not head:
        pytest.skip("brains have their own test")
    grid = Grid(anatomy.brain.shape, anatomy.affine)
    images = {
        name: phantoms.save(tmp_path / f"{name}.nii.gz", one, grid) for name, one in volumes.items()
    }
    scan = Prepared("sub-01", "01", "", "icbm152", images, native=images)
    (tmp_path / "out").mkdir()
    settings = {**normalise.SETTINGS, "method": "white_matter_peak"}
    with pytest.raises(ScanError, match="sub-01: .*put 'find_body' or 'strip_skull' before"):
        normalise.run(scan, tmp_path / "out", seed=0, **settings)
    body = find_body.run(scan, tmp_path / "out", seed=0, **find_body.SETTINGS, skull_stripped=False)
    assert body.images == images and shows_body(body.brain)
    mask = read_mask(body.brain)[0]
    assert mask[anatomy.brain].all() and not mask.all()
    done = normalise.run(body, tmp_path / "out", seed=0, **settings)
    for path in done.images.values():
        white = read_volume(path)[0][anatomy.tissue("wm") > 0.95]
        assert np.median(white) == pytest.approx(0.5, abs=0.03)
    # It is no brain whose volume and shape could be judged.
    numbers = measure(done)
    assert "brain_ml" not in numbers and "dice_atlas" not in numbers and numbers["scale"] == 1


def test_stripped_scans_keep_their_brain(tmp_path):
    grid = phantoms.grid(4.0)
    data = phantoms.head(grid, skull=False)
    images = {"T1w": phantoms.save(tmp_path / "t1.nii.gz", data, grid)}
    mask = phantoms.mask(grid, phantoms.brain)
    scan = Prepared("sub-01", "01", "", "phantom", images, native=images)
    given = phantoms.save(tmp_path / "brain.nii.gz", mask, grid, np.uint8)
    (tmp_path / "out").mkdir()
    for one in (scan, replace(scan, brain=given)):
        found = find_body.run(one, tmp_path / "out", seed=0, closing=6.0, skull_stripped=True)
        assert not shows_body(found.brain)
        brain = read_mask(found.brain)[0]
        assert 2 * (brain & mask).sum() / (brain.sum() + mask.sum()) > 0.97


def test_no_body_and_no_peak_are_errors(tmp_path):
    grid = phantoms.grid(4.0)
    flat = {"FLAIR": phantoms.save(tmp_path / "f.nii.gz", np.ones(grid.shape, np.float32), grid)}
    scan = Prepared("sub-07", "07", "", "phantom", flat, native=flat)
    with pytest.raises(ScanError, match="sub-07: .*f.nii.gz.*no body was found"):
        find_body.run(scan, tmp_path, seed=0, closing=6.0, skull_stripped=False)
    mask = phantoms.mask(grid, phantoms.brain)
    given = replace(scan, brain=phantoms.save(tmp_path / "b.nii.gz", mask, grid, np.uint8))
    settings = {**normalise.SETTINGS, "method": "white_matter_peak"}
    with pytest.raises(ScanError, match="sub-07: .*f.nii.gz.*has no white matter peak"):
        normalise.run(given, tmp_path, seed=0, **settings)
    speck = np.zeros(grid.shape, bool)
    speck[10:14, 10:14, 10:14] = True
    with pytest.raises(ValueError, match="voxels in the depth of its mask"):
        white_matter_peak(np.ones(grid.shape), speck, grid.spacing, "T1w")


def test_a_slope_is_no_peak():
    rng = np.random.default_rng(0)
    data = np.sqrt(rng.random((40, 40, 40))).astype(np.float32)
    with pytest.raises(ValueError, match="has no white matter peak"):
        white_matter_peak(data, np.ones(data.shape, bool), np.ones(3), "FLAIR")
