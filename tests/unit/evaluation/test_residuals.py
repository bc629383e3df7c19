"""L1 errors and the chi-square distance on volumes made by hand."""

import json

import numpy as np
import pytest

from normscan.errors import NormscanError
from normscan.evaluation.region import evaluated_region
from normscan.evaluation.residuals import (
    Residuals,
    chi_square,
    linear_histograms,
    load_residuals,
    residual_edges,
    save_residuals,
)


def test_l1_of_a_volume_made_by_hand():
    signed = np.zeros((4, 4, 2), np.float32)
    brain = np.zeros(signed.shape, bool)
    brain[:2] = True
    lesion = np.zeros(signed.shape, bool)
    lesion[1, 0, 0] = lesion[3, 3, 1] = True  # the second was cut off by skull stripping
    signed[0] = -0.5
    signed[1, 0, 0] = 0.3
    signed[2] = 9  # outside: does not count
    region = evaluated_region(brain, lesion)
    normal, anomalous = Residuals.of(signed[region & ~lesion]), Residuals.of(signed[lesion])
    # 16 brain voxels, of which one is lesion: 8 with 0.5, 7 with 0.
    assert normal.count == 15 and anomalous.count == 2
    assert normal.mean == pytest.approx(8 * 0.5 / 15)
    assert normal.std == pytest.approx(np.std([0.5] * 8 + [0] * 7))
    assert anomalous.mean == pytest.approx(0.15)
    assert anomalous.std == pytest.approx(0.15)


def test_the_region_is_brain_and_lesions():
    brain, lesion = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    np.testing.assert_array_equal(evaluated_region(brain, lesion), [True, True, True, False])


def test_chi_square_of_histograms_made_by_hand():
    # Values a factor of four apart lie in different bins. Shares 3/4, 1/4 against 1/4, 3/4.
    normal = Residuals.of(np.array([0.1, -0.1, 0.1, 0.4]))
    anomalous = Residuals.of(np.array([0.1, 0.4, 0.4, 0.4]))
    assert chi_square(normal, anomalous) == pytest.approx(0.5 * (0.5**2 / 1 + 0.5**2 / 1))


def test_chi_square_of_equal_and_of_separate_histograms():
    one, other = Residuals.of(np.full(5, 0.1)), Residuals.of(np.full(50, 0.8))
    assert chi_square(one, Residuals.of(np.full(9, 0.1))) == 0
    assert chi_square(one, other) == pytest.approx(1)


def test_residuals_of_zero_do_not_change_the_distance():
    values = np.random.default_rng(0).gamma(2, 0.1, 300)
    normal, anomalous = Residuals.of(values), Residuals.of(values[:100] * 2)
    with_zeros = Residuals.of(np.r_[values, np.zeros(1000)])
    assert chi_square(with_zeros, anomalous) == chi_square(normal, anomalous) > 0.05
    assert with_zeros.mean < normal.mean


def test_the_distance_does_not_depend_on_the_unit_of_the_map():
    generator = np.random.default_rng(0)
    normal, anomalous = generator.gamma(1, 0.05, 9000), generator.gamma(3, 0.05, 4000)
    distances = [
        chi_square(Residuals.of(normal * unit), Residuals.of(anomalous * unit))
        for unit in (1, 2**-8, 2**5)
    ]
    assert distances == pytest.approx([distances[0]] * 3)


def test_the_distance_is_that_of_fine_linear_bins():
    generator = np.random.default_rng(0)
    normal, anomalous = generator.gamma(2, 0.05, 400_000), generator.gamma(4, 0.05, 400_000)
    p, q = (np.histogram(one, bins=80, range=(0, 1))[0] / len(one) for one in (normal, anomalous))
    both = p + q
    expected = 0.5 * np.sum((p - q)[both > 0] ** 2 / both[both > 0])
    found = chi_square(Residuals.of(normal), Residuals.of(anomalous))
    assert found == pytest.approx(expected, abs=0.01)


def test_classes_without_residuals_have_no_distance():
    empty, zeros = Residuals.of(np.zeros(0)), Residuals.of(np.zeros(4))
    assert np.isnan(empty.mean) and np.isnan(empty.std)
    assert zeros.mean == 0 and zeros.std == 0
    assert np.isnan(chi_square(empty, Residuals.of(np.ones(4))))
    assert np.isnan(chi_square(Residuals.of(np.ones(4)), zeros))


def test_sums_and_files_keep_everything():
    values = np.random.default_rng(0).normal(size=500)
    parts = [Residuals.of(values[:200]), Residuals.of(values[200:])]
    read = [Residuals.from_json(json.loads(json.dumps(part.to_json()))) for part in parts]
    summed, whole = read[0] + read[1], Residuals.of(values)
    assert summed.mean == pytest.approx(np.abs(values).mean())
    assert summed.std == pytest.approx(np.abs(values).std())
    np.testing.assert_array_equal(summed.histogram, whole.histogram)
    empty = Residuals.of(np.zeros(3))
    assert Residuals.from_json(empty.to_json()).histogram.sum() == 0


def test_bins_lie_between_their_edges():
    edges = residual_edges()
    values = np.random.default_rng(0).gamma(1, 0.2, 300)
    used = np.flatnonzero(Residuals.of(values).histogram)
    counts, _ = np.histogram(values, bins=edges)
    np.testing.assert_array_equal(np.flatnonzero(counts), used)


def test_linear_histograms_for_plots_keep_counts_and_shape():
    values = np.random.default_rng(0).gamma(2, 0.05, 200_000)
    normal, anomalous = Residuals.of(values), Residuals.of(np.full(10, 0.9))
    edges, left, right = linear_histograms(normal, anomalous, bins=50)
    assert len(edges) == 51 and edges[0] == 0
    assert left.sum() == pytest.approx(200_000) and right.sum() == pytest.approx(10)
    expected, _ = np.histogram(values, bins=edges)
    assert np.abs(left - expected).max() < 0.02 * expected.max()


def test_linear_histograms_without_residuals_are_empty():
    zeros = Residuals.of(np.zeros(3))
    edges, left, right = linear_histograms(zeros, zeros)
    assert (np.diff(edges) > 0).all() and not left.any() and not right.any()


def test_residuals_of_scans_come_back_from_their_file(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 2, 100)).astype(np.float32)
    scans = {
        name: tuple(Residuals.of(one) for one in pair)
        for name, pair in zip(("sub-1", "sub-2"), values)
    }
    path = tmp_path / "00-residuals.json"
    save_residuals(path, scans)
    found = load_residuals(path)
    assert list(found) == ["sub-1", "sub-2"]
    for name, pair in scans.items():
        for expected, got in zip(pair, found[name]):
            assert got.to_json() == expected.to_json()
    path.write_text('{"sub-1": {"normal": 3}}')
    with pytest.raises(NormscanError, match="00-residuals.json: holds no residuals"):
        load_residuals(path)
