"""Tail probabilities of healthy voxels, and the sum of several maps."""

import numpy as np
import pytest
from scipy import stats

from normscan.errors import NormscanError
from normscan.postprocessing.fusing import (
    FEWEST_VOXELS,
    HealthyScores,
    combined,
    healthy_scores,
    load_healthy,
    rarity,
    rarity_by_slice,
    rarity_map,
    save_healthy,
    slice_counts,
    slices_of_their_own,
    weighted_sum,
)
from normscan.postprocessing.histograms import BINS, bin_edges, score_bins

SHAPE = (40, 30, 12)


def counts(values) -> np.ndarray:
    return np.bincount(score_bins(np.asarray(values, np.float32)), minlength=BINS)


def drawn(seed: int, scale=1.0) -> np.ndarray:
    """Half of the voxels 0, the others exponential."""
    random = np.random.default_rng(seed)
    score = random.exponential(1, SHAPE) * (random.random(SHAPE) < 0.5) * scale
    return score.astype(np.float32)


def made(scans: int, scale=1.0) -> HealthyScores:
    """Healthy scans whose scores may have a scale of their own in each slice."""
    region = np.ones(SHAPE, bool)
    return healthy_scores((f"h/{n}", drawn(n, scale), region) for n in range(scans))


def test_p_is_the_share_of_healthy_voxels_that_score_at_least_as_high():
    healthy = drawn(0).ravel()
    asked = np.array([0, 0.01, 0.3, 1, 2.5, 50], np.float32)
    # Bins are whole: all healthy scores of the same bin count as at least as high.
    floors = np.r_[0, bin_edges()][score_bins(asked)]
    share = [(healthy > floor).sum() if floor or one else healthy.size
             for floor, one in zip(floors, asked)]  # fmt: skip
    expected = -np.log((1 + np.array(share)) / (1 + healthy.size))
    found = rarity(counts(healthy), tail=0)[score_bins(asked)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found[0] == 0 and found[-1] == pytest.approx(np.log(1 + healthy.size))
    # The same by scipy: percentileofscore counts those below.
    weak = 1 - stats.percentileofscore(healthy, asked[1:5], kind="strict") / 100
    np.testing.assert_allclose(found[1:5], -np.log(weak), atol=2e-3)


def test_of_a_known_law_it_is_its_survival_function_even_beyond_all_scores():
    values = np.random.default_rng(1).exponential(0.2, 400_000)
    table = rarity(counts(values), tail=0.01)
    asked = np.linspace(0.05, 6, 40)
    expected = -stats.expon(scale=0.2).logsf(asked)
    assert asked.max() > 2 * values.max()
    np.testing.assert_allclose(table[score_bins(asked)], expected, rtol=0.05)


def test_it_never_falls_and_ranks_what_no_healthy_voxel_reaches():
    values = np.r_[np.zeros(1000), np.random.default_rng(2).gamma(2, 0.1, 5000)]
    with_tail, without = rarity(counts(values), 0.001), rarity(counts(values), 0)
    for table in (with_tail, without):
        assert (np.diff(table) >= 0).all() and np.isfinite(table).all() and table[0] == 0
    beyond = score_bins(np.array([2.0, 3.0, 4.0]))
    assert len(set(without[beyond])) == 1 and (np.diff(with_tail[beyond]) > 0).all()
    # Where most scores lie both are the same.
    usual = score_bins(np.percentile(values, [20, 50, 90, 99]))
    np.testing.assert_array_equal(with_tail[usual], without[usual])


@pytest.mark.parametrize("values", [np.zeros(50), np.full(50, 0.3), np.r_[np.zeros(50), 0.3]])
def test_scores_with_no_tail_to_fit_are_finite(values):
    table = rarity(counts(values), tail=0.01)
    assert np.isfinite(table).all() and (np.diff(table) >= 0).all() and table[0] == 0


def test_slices_with_enough_scans_have_their_own():
    scale = np.where(np.arange(12) < 6, 1.0, 10.0)
    healthy = made(2, scale)
    own = slices_of_their_own(healthy, 2)
    tables = rarity_by_slice(healthy, own, tail=0)
    # Windows of five slices hold enough voxels here, those of four and three do not.
    assert 2 * 40 * 30 * 5 > FEWEST_VOXELS > 2 * 40 * 30 * 4
    assert np.flatnonzero(own).tolist() == list(range(2, 10))
    pooled = rarity(healthy.counts.sum(axis=0), 0)
    np.testing.assert_array_equal(tables[0], pooled)
    (one,) = score_bins(np.array([5.0]))
    assert tables[3, one] > pooled[one] > tables[8, one]
    scores = np.concatenate([drawn(n, scale)[:, :, 1:6].ravel() for n in range(2)])
    np.testing.assert_array_equal(tables[3], rarity(counts(scores), 0))
    for few in (3, 0):
        own = slices_of_their_own(healthy, few)
        assert not own.any()
        tables = rarity_by_slice(healthy, own, tail=0)
        np.testing.assert_array_equal(tables, np.repeat(pooled[None], 12, axis=0))


def test_slices_that_few_scans_have_are_pooled():
    region = np.ones(SHAPE, bool)
    region[:, :, 8:] = False
    whole = np.ones(SHAPE, bool)
    scans = [(f"h/{n}", drawn(n), whole if n < 3 else region) for n in range(12)]
    own = slices_of_their_own(healthy_scores(scans), 10)
    assert own[2:8].all() and not own[8:].any()


def test_a_scan_is_taken_away_exactly():
    region = drawn(7) > -1
    region[:3] = False
    region[:, :, 2] = False
    all_scans = [(f"h/{n}", drawn(n), region) for n in range(4)]
    whole = healthy_scores(all_scans)
    rest = whole.without(["h/2"], slice_counts(drawn(2), region))
    expected = healthy_scores([one for one in all_scans if one[0] != "h/2"])
    np.testing.assert_array_equal(rest.counts, expected.counts)
    np.testing.assert_array_equal(rest.present, expected.present)
    assert rest.scans == ("h/0", "h/1", "h/3") and not rest.present[:, 2].any()


def test_a_map_is_looked_up_slice_by_slice():
    score = drawn(3)
    tables = np.random.default_rng(0).random((SHAPE[2], BINS)).astype(np.float32)
    found = rarity_map(score, tables)
    bins = score_bins(score)
    for x, y, z in [(0, 0, 0), (3, 20, 7), (39, 29, 11)]:
        assert found[x, y, z] == tables[z, bins[x, y, z]]
    assert found.dtype == np.float32 and found.shape == SHAPE


def test_the_sum_of_independent_maps_has_fishers_law():
    """Twice the sum of -log p of k independent uniform p has chi-squared with 2k degrees."""
    shape = (60, 60, 12)
    parts = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        law = [random.gamma, random.exponential, random.weibull][seed]
        arguments = [(3, 0.1), (0.2,), (2,)][seed]
        healthy = [law(*arguments, shape).astype(np.float32) for _ in range(4)]
        everywhere = np.ones(shape, bool)
        known = healthy_scores((f"h/{n}", one, everywhere) for n, one in enumerate(healthy))
        tables = rarity_by_slice(known, np.zeros(shape[2], bool), tail=0.001)
        parts.append(rarity_map(law(*arguments, shape).astype(np.float32), tables))
    total = weighted_sum(parts, [1, 1, 1])
    distance = stats.kstest(2 * total.ravel(), stats.chi2(6).cdf).statistic
    assert distance < 0.02
    np.testing.assert_allclose(weighted_sum(parts, [0.5, 0, 2]), 0.5 * parts[0] + 2 * parts[2])


def test_a_minimum_asks_every_part_and_averages_the_seeds_of_each():
    one, first, second = (drawn(seed) for seed in range(3))
    parts, weights = ["one", "two", "two"], [0.5, 0.25, 0.25]
    found = combined([one, first, second], parts, weights, "minimum")
    np.testing.assert_allclose(found, np.minimum(one, (first + second) / 2), rtol=1e-6)
    assert found.dtype == np.float32
    total = combined([one, first, second], parts, weights, "sum")
    np.testing.assert_array_equal(total, weighted_sum([one, first, second], weights))


def test_files_hold_what_was_saved_and_are_equal_for_equal_content(tmp_path):
    healthy = made(3)
    for name in ("a", "b"):
        save_healthy(tmp_path / f"{name}.npz", healthy)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = load_healthy(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.counts, healthy.counts)
    np.testing.assert_array_equal(loaded.present, healthy.present)
    assert loaded.scans == healthy.scans and loaded.voxels == 3 * np.prod(SHAPE)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(NormscanError, match=r"a\.npz"):
        load_healthy(tmp_path / "a.npz")


def test_nothing_to_compare_with_is_said():
    with pytest.raises(NormscanError, match="no held-out healthy scan has scores"):
        healthy_scores([])
    with pytest.raises(NormscanError, match="healthy_validation"):
        healthy_scores([("h/0", drawn(0), np.zeros(SHAPE, bool))])
