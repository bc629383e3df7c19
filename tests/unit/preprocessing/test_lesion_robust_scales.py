"""Scales that a large lesion does not move, against scales that it does."""

from dataclasses import replace

import made_heads as phantoms
import numpy as np
import pytest

from normscan.cohorts.simulation.anatomy import subject_anatomy
from normscan.cohorts.simulation.contrasts import contrast_volume
from normscan.cohorts.simulation.lesions import Lesions
from normscan.cohorts.simulation.noise import stream
from normscan.cohorts.simulation.scanner import bias_field, rician
from normscan.errors import ScanError
from normscan.preprocessing import normalise
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.nyul import PEAK, STANDARD, landmarks, mapped
from normscan.preprocessing.robust import (
    brain_median,
    highest_peak,
    peak_near,
    without_bright,
    without_negatives,
)
from normscan.preprocessing.segment_tissue import TISSUES
from normscan.preprocessing.tissue_peak import tissue_peak
from normscan.preprocessing.volumes import Prepared

SPACING = 4.0
SHARE = 0.2  # of the brain that is lesion
BRIGHTNESS = 1.6  # of the lesion, in medians: as of real gliomas


class Subject:
    """A simulated brain, and the same with a large bright lesion on FLAIR."""

    def __init__(self, seed: int):
        anatomy = subject_anatomy(stream(seed, "unit", "01", "anatomy"), SPACING, head=False)
        self.anatomy, self.brain = anatomy, anatomy.brain
        self.grid = Grid(self.brain.shape, anatomy.affine)
        self.images = {}
        for contrast in ("FLAIR", "T1w"):
            rng = stream(seed, "unit", "01", contrast)
            volume = contrast_volume(rng, anatomy, Lesions(), contrast)
            volume = rician(rng, volume * bias_field(rng, volume.shape, 0.1), 0.02)
            self.images[contrast] = (volume * self.brain).astype(np.float32)
        self.lesion = self._sphere()
        flair = self.images["FLAIR"]
        noise = 1 + 0.05 * np.random.default_rng(seed).standard_normal(self.brain.shape)
        bright = BRIGHTNESS * np.median(flair[self.brain]) * noise
        self.ill = np.where(self.lesion, bright, flair).astype(np.float32)

    def _sphere(self):
        places = np.argwhere(self.brain)
        distances = np.linalg.norm(places - places.mean(axis=0) - [8, 0, 2], axis=1)
        near = places[np.argsort(distances)[: int(SHARE * len(places))]]
        mask = np.zeros_like(self.brain)
        mask[tuple(near.T)] = True
        return mask


@pytest.fixture(scope="module")
def subject():
    return Subject(1)


def on_one_scale(subject, folder, tissue=False, t1w=False, **settings):
    """FLAIR without and with the lesion after the step."""
    (folder / "out").mkdir(exist_ok=True)
    brain = phantoms.save(folder / "brain.nii.gz", subject.brain, subject.grid, np.uint8)
    scan = Prepared("sub-01", "01", "", "icbm152", brain=brain)
    if tissue:
        # The lesion is taken for white matter: it is no better known than that.
        white = (subject.anatomy.tissue("wm") > 0.5) | subject.lesion
        labels = white * TISSUES["white matter"]
        scan = replace(
            scan, tissue=phantoms.save(folder / "tissue.nii.gz", labels, subject.grid, np.uint8)
        )
    found = []
    for name, flair in (("healthy", subject.images["FLAIR"]), ("ill", subject.ill)):
        images = {"FLAIR": flair, **({"T1w": subject.images["T1w"]} if t1w else {})}
        images = {
            key: phantoms.save(folder / f"{name}_{key}.nii.gz", one, subject.grid)
            for key, one in images.items()
        }
        given = {**normalise.SETTINGS, **settings}
        done = normalise.run(replace(scan, images=images), folder / "out", seed=0, **given)
        found.append(read_volume(done.images["FLAIR"])[0])
    return found


def change(subject, healthy, ill) -> float:
    """Largest relative change of the mean of healthy grey or white matter outside of the lesion."""
    tissues = [subject.anatomy.tissue(name) > 0.7 for name in ("gm", "wm")]
    spared = [one & subject.brain & ~subject.lesion for one in tissues]
    return max(abs(ill[one].mean() / healthy[one].mean() - 1) for one in spared)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "median"},
        {"method": "tissue_peak"},
        {"method": "tissue_peak", "t1w": True},
        {"method": "tissue_peak", "tissue": True},
        {"method": "nyul"},
        {"method": "nyul", "t1w": True},
    ],
    ids=str,
)
def test_a_large_bright_lesion_leaves_healthy_tissue_where_it_was(subject, tmp_path, settings):
    healthy, ill = on_one_scale(subject, tmp_path, **settings)
    assert change(subject, healthy, ill) < 0.02
    # And it stays as bright as it was, above everything else.
    assert np.median(ill[subject.lesion]) > 1.3 * np.median(healthy[subject.brain])
    assert not ill[~subject.brain].any() and ill.min() >= 0


@pytest.mark.parametrize("method", ["percentile", "zscore", "minmax"])
def test_the_other_scales_are_moved(subject, tmp_path, method):
    """What the test above would say of them."""
    assert change(subject, *on_one_scale(subject, tmp_path, method=method)) > 0.1


def test_the_plain_median_is_moved(subject):
    """Why bright voxels are set aside."""
    before, after = subject.images["FLAIR"][subject.brain], subject.ill[subject.brain]
    assert np.median(after) > 1.04 * np.median(before)
    assert brain_median(after) == pytest.approx(brain_median(before), rel=0.02)


def test_levels(subject, tmp_path):
    for level in (1.0, 0.5):
        healthy, _ = on_one_scale(subject, tmp_path, method="median", level=level)
        assert np.median(healthy[subject.brain]) == pytest.approx(level, rel=0.01)
        healthy, _ = on_one_scale(subject, tmp_path, method="nyul", level=level)
        assert np.median(healthy[subject.brain]) == pytest.approx(level, rel=0.01)
        white = subject.anatomy.tissue("wm") > 0.95
        for known in ({}, {"t1w": True}, {"tissue": True}):
            settings = {"method": "tissue_peak", "level": level, **known}
            healthy, _ = on_one_scale(subject, tmp_path, **settings)
            assert np.median(healthy[white]) == pytest.approx(level, rel=0.05)


@pytest.mark.parametrize("method", normalise.ROBUST)
def test_results_do_not_depend_on_the_scanners_unit(subject, tmp_path, method):
    first = on_one_scale(subject, tmp_path, method=method)
    subject_in_units = Subject.__new__(Subject)
    subject_in_units.__dict__ = {**vars(subject), "ill": subject.ill * 731}
    subject_in_units.images = {key: 731 * one for key, one in subject.images.items()}
    second = on_one_scale(subject_in_units, tmp_path, method=method)
    np.testing.assert_allclose(first, second, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("method", normalise.ROBUST)
def test_a_scan_without_a_mask_or_with_an_empty_brain_is_an_error(tmp_path, method):
    grid = phantoms.grid(6.0)
    settings = {**normalise.SETTINGS, "method": method}
    image = phantoms.save(tmp_path / "f.nii.gz", np.zeros(grid.shape, np.float32), grid)
    scan = Prepared("sub-07", "07", "", "phantom", {"FLAIR": image})
    with pytest.raises(ScanError, match=f"sub-07: .*'{method}'.*put 'find_body'"):
        normalise.run(scan, tmp_path, seed=0, **settings)
    mask = phantoms.mask(grid, phantoms.brain)
    scan = replace(scan, brain=phantoms.save(tmp_path / "b.nii.gz", mask, grid, np.uint8))
    with pytest.raises(ScanError, match=r"sub-07: .*f\.nii\.gz.*median is not positive"):
        normalise.run(scan, tmp_path, seed=0, **settings)


def test_values_of_healthy_brains_are_not_set_aside():
    values = np.random.default_rng(0).normal(100, 10, 100_000)
    assert len(without_bright(values)) > 0.95 * len(values)
    assert brain_median(values) == pytest.approx(100, rel=0.005)


def test_negative_values():
    values = np.array([-1.0, *range(1, 40)])
    np.testing.assert_array_equal(without_negatives(values), np.maximum(values, 0))
    scores = np.random.default_rng(0).normal(0, 1, 10_000).astype(np.float32)
    raised = without_negatives(scores)
    assert raised.min() == 0 and (raised == 0).mean() < 0.011
    assert raised.mean() == pytest.approx(-np.percentile(scores, 1), rel=0.01)


def test_peaks_of_a_mixture():
    rng = np.random.default_rng(0)
    parts = [rng.normal(620, 20, 40_000), rng.normal(820, 30, 30_000), np.zeros(60_000)]
    values = np.concatenate(parts)
    assert peak_near(values, 600) == pytest.approx(620, rel=0.01)
    assert peak_near(values, 850) == pytest.approx(820, rel=0.01)
    assert highest_peak(values[values > 0]) == pytest.approx(620, rel=0.01)


def test_the_highest_peak_stands_in_where_there_is_no_white_matter():
    """A slope, which ends at the brightest values, is no peak of white matter."""
    rng = np.random.default_rng(0)
    data = (100 * np.sqrt(rng.random((40, 40, 40)))).astype(np.float32)
    brain = np.ones(data.shape, bool)
    found = tissue_peak(data, brain, np.ones(3), "FLAIR")
    assert found == pytest.approx(highest_peak(data[brain].astype(float)))
    with pytest.raises(ValueError, match="median is not positive"):
        tissue_peak(np.zeros_like(data), brain, np.ones(3), "FLAIR")


def test_landmarks_go_to_their_places_and_lines_go_on():
    values = np.random.default_rng(0).normal(100, 8, 100_000)
    found, places = landmarks(values)
    np.testing.assert_allclose(mapped(found, found, places), list(STANDARD.values()))
    far = mapped(np.array([200.0, 300.0]), found, places)
    slope = (places[-1] - places[0]) / (found[-1] - found[0])
    np.testing.assert_allclose(far, 1 + slope * (np.array([200, 300]) - found[-1]))
    grid = mapped(np.linspace(0, 400, 1000), found, places)
    assert (np.diff(grid) > 0).all() and grid[0] == 0
    # White matter counts where it is brighter than the median, as on T1w.
    found, places = landmarks(values, 120.0)
    assert (found[-1], places[-1]) == (120.0, PEAK)
    assert mapped(np.array([120.0]), found, places)[0] == pytest.approx(PEAK)
    assert len(landmarks(values, 90.0)[0]) == len(STANDARD)
