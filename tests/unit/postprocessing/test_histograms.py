import numpy as np
import pytest

from normscan.errors import NormscanError
from normscan.postprocessing.histograms import (
    BINS,
    ScoreHistogram,
    bin_edges,
    load_histograms,
    save_histograms,
    score_bins,
)


def made(seed, voxels=2000):
    generator = np.random.default_rng(seed)
    score = generator.gamma(1, 0.1, voxels).astype(np.float32) * (generator.random(voxels) < 0.7)
    lesion, region = generator.random(voxels) < 0.05, generator.random(voxels) < 0.9
    return score.astype(np.float32), lesion, region


def test_bins_keep_the_order_of_scores_and_zero_has_its_own():
    score = np.sort(np.r_[0, np.logspace(-9, 5, 5000)]).astype(np.float32)
    bins = score_bins(score)
    assert (np.diff(bins) >= 0).all()
    assert bins[0] == 0 and bins[1] == 1 and bins[-1] == BINS - 1


def test_edges_are_the_largest_scores_of_their_bins():
    edges = bin_edges()
    assert (np.diff(edges) > 0).all()
    np.testing.assert_array_equal(score_bins(edges), np.arange(BINS))
    above = np.nextafter(edges[:-1], np.float32(np.inf), dtype=np.float32)
    np.testing.assert_array_equal(score_bins(above), np.arange(1, BINS))


def test_scores_in_a_bin_differ_by_less_than_a_thousandth():
    edges = bin_edges()[1:-1].astype(float)
    assert (np.diff(edges) / edges[:-1]).max() < 1e-3


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_scores_that_cannot_be_ordered_are_refused(bad):
    with pytest.raises(NormscanError, match="finite and not negative"):
        score_bins(np.array([0.5, bad], np.float32))


def test_voxels_outside_of_the_region_do_not_count():
    score, lesion, region = made(0)
    histogram = ScoreHistogram.of(score, lesion, region)
    assert histogram.normal.sum() == (region & ~lesion).sum()
    assert histogram.lesion.sum() == (region & lesion).sum()


def test_histograms_of_scans_add_up_to_that_of_all_voxels():
    parts = [made(seed) for seed in range(3)]
    summed = ScoreHistogram.of(*parts[0])
    for part in parts[1:]:
        summed = summed + ScoreHistogram.of(*part)
    whole = ScoreHistogram.of(*(np.concatenate(arrays) for arrays in zip(*parts)))
    np.testing.assert_array_equal(summed.normal, whole.normal)
    np.testing.assert_array_equal(summed.lesion, whole.lesion)


def test_share_above_an_edge_is_exact():
    score, lesion, region = made(1)
    histogram = ScoreHistogram.of(score, lesion, region)
    for threshold in bin_edges()[score_bins(np.array([0.0, 0.01, 0.2, 5.0]))]:
        share = (score[region & ~lesion] > float(threshold)).mean()
        assert histogram.exceeding(float(threshold)) == pytest.approx(share, abs=1e-12)


def test_files_hold_what_was_saved_and_are_equal_for_equal_content(tmp_path):
    histograms = {f"sub-{seed}": ScoreHistogram.of(*made(seed)) for seed in (2, 0, 1)}
    nothing = np.zeros(BINS, np.int64)
    histograms["sub-none"] = ScoreHistogram(nothing, nothing)
    save_histograms(tmp_path / "a.npz", histograms)
    save_histograms(tmp_path / "b.npz", dict(sorted(histograms.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = load_histograms(tmp_path / "a.npz")
    assert sorted(loaded) == sorted(histograms)
    for scan, histogram in histograms.items():
        np.testing.assert_array_equal(loaded[scan].normal, histogram.normal)
        np.testing.assert_array_equal(loaded[scan].lesion, histogram.lesion)


def volumes(seed):
    """Score, lesions in slices 3 to 5, region, and which of ten slices have none."""
    score, lesion, region = (one.reshape(10, 20, 10) for one in made(seed))
    free = ~np.isin(np.arange(10), (3, 4, 5))
    return score, lesion & ~free, region, free


def test_slices_without_lesions_are_counted_apart_and_kept(tmp_path):
    score, lesion, region, free = volumes(3)
    histogram = ScoreHistogram.of(score, lesion, region, free)
    alone = ScoreHistogram.of(score[..., free], lesion[..., free], region[..., free])
    np.testing.assert_array_equal(histogram.without_lesions().normal, alone.normal)
    assert histogram.without_lesions().lesion.sum() == 0 < histogram.lesion.sum()
    healthy = ScoreHistogram.of(*made(1))
    save_histograms(tmp_path / "a.npz", {"sub-1": histogram, "sub-2": healthy})
    loaded = load_histograms(tmp_path / "a.npz")
    for one, expected in (("sub-1", alone), ("sub-2", healthy)):
        np.testing.assert_array_equal(loaded[one].without_lesions().normal, expected.normal)
    both = (loaded["sub-1"] + loaded["sub-2"]).without_lesions()
    np.testing.assert_array_equal(both.normal, alone.normal + healthy.normal)


def test_no_scans_make_an_empty_file(tmp_path):
    save_histograms(tmp_path / "a.npz", {})
    assert load_histograms(tmp_path / "a.npz") == {}


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04broken", b"text"])
def test_missing_and_broken_files_are_named(tmp_path, content):
    path = tmp_path / "broken.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NormscanError, match="broken.npz"):
        load_histograms(path)


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "cut.npz"
    save_histograms(path, {"sub-1": ScoreHistogram.of(*made(1))})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(NormscanError, match="cut.npz"):
        load_histograms(path)
