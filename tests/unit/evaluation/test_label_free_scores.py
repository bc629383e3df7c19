"""Choosing without labels: scores, regret, ranks and rates on made maps and made metrics."""

import numpy as np
import pandas
import pytest
from scipy import stats

from normscan.evaluation.compared import Compared
from normscan.evaluation.curves import auprc
from normscan.evaluation.healthy_rates import promised_rate, rate_table
from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.resampled import by_subject, resampling_weights, weighted_scores
from normscan.evaluation.selection import (
    ALL_SIZES,
    label_free_scores,
    rank_table,
    regret_table,
    score_table,
)
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.thresholds import best_dice

PRIORS = {"pasted": "hyperintense", "dark": "hypointense", "ms": "hyperintense", "any": "none"}


def host(separation, seed, voxels=1500, lesion=0.1):
    """One host's histogram; lesion voxels score higher by so much."""
    generator = np.random.default_rng(seed)
    there = generator.random(voxels) < lesion
    score = np.maximum(generator.normal(0, 1, voxels) + separation * there, 0).astype(np.float32)
    return ScoreHistogram.of(score, there, np.ones(voxels, bool))


def total(hosts):
    return ScoreHistogram(sum(h.normal for h in hosts), sum(h.lesion for h in hosts))


def test_weighted_scores_are_those_of_the_drawn_scans_together():
    hosts = [host(2.0, seed, lesion=0.05 * (seed + 1)) for seed in range(4)]
    weights = np.array([[1, 1, 1, 1], [0, 3, 1, 0], [4, 0, 0, 0]])
    found = weighted_scores(hosts, weights)
    for row, area, dice in zip(weights, found["auprc"], found["best_dice"], strict=True):
        drawn = total([one for one, times in zip(hosts, row) for _ in range(times)])
        assert area == pytest.approx(auprc(drawn))
        assert dice == pytest.approx(best_dice(drawn)[0])
    healthy = [host(2.0, 0, lesion=0)]
    assert np.isnan(weighted_scores(healthy, np.ones((1, 1)))["auprc"]).all()


def test_resampling_draws_as_many_scans_and_is_repeatable():
    weights = resampling_weights(7, 50)
    assert weights.shape == (51, 7) and (weights.sum(axis=1) == 7).all()
    assert (weights[0] == 1).all() and np.array_equal(weights, resampling_weights(7, 50))


def test_scans_of_one_subject_are_drawn_together():
    scans = {"a_1": host(1, 0), "a_2": host(1, 1), "b": host(1, 2), "c": host(1, 3)}
    found = by_subject(scans, {"a_1": "a", "a_2": "a", "b": "b"})
    assert [one.normal.sum() + one.lesion.sum() for one in found] == [3000, 1500]


def histograms(hosts=6, **separations):
    """(approach, seed, cohort) -> hosts; two cohorts of different sign."""
    return {
        (name, str(seed), cohort): [
            host(value if cohort == "pasted" else 4 - value, 1000 * ord(name[0]) + 10 * n + seed)
            for n in range(hosts)
        ]
        for name, value in separations.items()
        for seed in (0, 1)
        for cohort in ("pasted", "dark")
    }


def scored(prior="hyperintense", **separations):
    made = histograms(**separations)
    return label_free_scores(made, ["pasted", "dark"], PRIORS, prior, samples=60)


def test_scores_are_means_over_seeds_of_all_hosts_of_cohorts_with_that_prior():
    made = histograms(ae=1.5, intensity=1.0)
    found = label_free_scores(made, ["pasted", "dark"], PRIORS, "hyperintense", samples=60)
    expected = np.mean([auprc(total(made["ae", seed, "pasted"])) for seed in "01"])
    assert found.values()["ae"] == pytest.approx(expected)
    assert (found.cohorts, found.hosts) == (["pasted"], 6)
    low, high = found.interval("auprc", "ae")
    assert low < expected < high < low + 0.3
    # The other way round for the dark ones; all of them where no cohort has the prior.
    assert found.chosen(["ae", "intensity"]) == "ae"
    dark = label_free_scores(made, ["pasted", "dark"], PRIORS, "hypointense", samples=10)
    assert dark.chosen(["ae", "intensity"]) == "intensity"
    both = label_free_scores(made, ["pasted", "dark"], PRIORS, "none", samples=10)
    assert both.cohorts == ["pasted", "dark"] and both.hosts == 12
    parts = [one.values()["ae"] for one in (found, dark)]
    assert both.values()["ae"] == pytest.approx(np.mean(parts))


def test_how_sure_the_choice_is():
    clear, close = scored(a=3.0, b=0.5), scored(a=1.5, b=1.5, c=1.5)
    assert clear.chosen_shares()["a"] == 1.0
    shares = close.chosen_shares()
    assert sum(shares.values()) == pytest.approx(1) and max(shares.values()) < 1
    table = score_table([clear], ["b"])
    assert list(table["approach"]) == ["a", "b"]
    assert list(table["chosen"]) == ["approach", "baseline"]


def test_an_approach_that_one_cohort_has_no_scores_of_has_none():
    made = histograms(ae=2.0, vae=2.0)
    for seed in "01":
        del made["vae", seed, "dark"]
    found = label_free_scores(made, ["pasted", "dark"], PRIORS, "none", samples=5)
    assert np.isnan(found.values()["vae"]) and found.chosen(["ae", "vae"]) == "ae"


# Metrics of a protocol p with approaches a to d on the cohort ms; d and c need no training.
TRUTH = {"a": 0.4, "b": 0.5, "c": 0.3, "d": 0.2}


def compared(sizes=(0.5, 0.7, 30.0, 40.0), truth=TRUTH, large=None):
    rows = []
    for name, area in truth.items():
        key = ("ms", f"p/{name}", 0, "test")
        rows += [
            (*key, "cohort", None, None, "none", "auprc", area),
            (*key, "cohort", None, None, "oracle", "best_dice", area + 0.1),
            (*key, "cohort", None, None, "best_synthetic", "dice", area + 0.05),
            (*key, "cohort", None, None, "best_dice", "dice", area + 0.09),
        ]
        for number, ml in enumerate(sizes):
            subject = f"{number:02}"
            value = (large or truth)[name] if ml > 10 else area
            rows.append((*key, "subject", subject, None, "none", "auprc", value))
            rows.append((*key, "subject", subject, None, "best_dice", "lesion_volume_ml", ml))
    approaches = [
        {"variant": name, "title": name, "share": 100, "baseline": name in "cd"} for name in truth
    ]
    return Compared(pandas.DataFrame(rows, columns=COLUMNS), "p", approaches)


def test_regret_is_what_the_best_is_ahead_of_what_was_chosen():
    own = scored(a=3.0, b=2.0, c=0.5, d=1.0)
    rules = {"best_dice": False, "best_synthetic": True, "missing": True}
    table = regret_table(compared(), ["ms"], {"ms": own}, rules)
    rows = table.set_index(["choice", "measure", "chosen"]).sort_index()
    one = rows.loc["approach", "auprc", "a"]
    assert (one["oracle"], one["regret"]) == ("b", pytest.approx(0.1))
    assert one["random_regret"] == pytest.approx(np.mean([0.1, 0, 0.2, 0.3]))
    baseline = rows.loc["baseline", "auprc", "d"]
    assert (baseline["oracle"], baseline["regret"]) == ("c", pytest.approx(0.1))
    assert baseline["candidates"] == 2
    threshold = rows.loc["threshold", "dice", "best_synthetic"]
    assert threshold["regret"] == pytest.approx(0.05) and threshold["without_labels"]
    assert not rows.loc["threshold", "dice", "best_dice"]["without_labels"]
    assert len(rows.loc["threshold"]) == 2


def test_ranks_are_spearmans_over_all_patients_and_by_size():
    own = scored(a=2.0, b=3.0, c=1.0, d=0.5)
    turned = {"a": 0.3, "b": 0.2, "c": 0.4, "d": 0.5}
    table = rank_table(compared(large=turned), ["ms"], {"ms": own}).set_index("size")
    whole = table.loc[ALL_SIZES]
    expected = stats.spearmanr([own.values()[name] for name in TRUTH], list(TRUTH.values()))
    assert whole["rho"] == pytest.approx(expected.statistic) and whole["patients"] == 4
    assert list(table.index) == [ALL_SIZES, "below 1 ml", "above 10 ml"]
    assert table.loc["below 1 ml", "rho"] == pytest.approx(1)
    assert table.loc["above 10 ml", "rho"] == pytest.approx(-1)
    assert table.loc["above 10 ml", "patients"] == 2


def test_promised_and_realised_rates_of_healthy_voxels():
    assert promised_rate("healthy_percentile", {"percentile": 98}) == pytest.approx(0.02)
    assert promised_rate("best_dice", {"cohorts": []}) is None
    hosts = {("ae", "0", "pasted"): [host(0, seed) for seed in range(8)]}
    threshold = 1.5
    record = {"threshold": threshold, "healthy_false_positive_rate": 0.04, "subjects": 20}
    points = {("ae", "0"): {"hyperintense": {"conformal_0.05": record}}}
    rules = [
        {"label": "conformal_0.05", "kind": "conformal", "settings": {"rate": 0.05}},
        {"label": "best_dice", "kind": "best_dice", "settings": {"cohorts": []}},
    ]
    (found,) = rate_table(hosts, points, PRIORS, rules).to_dict("records")
    rates = [one.exceeding(threshold) for one in hosts["ae", "0", "pasted"]]
    assert found["realised"] == pytest.approx(np.mean(rates))
    assert found["low"] < found["realised"] < found["high"]
    assert found["hosts_above"] == pytest.approx(np.mean(np.array(rates) > 0.05))
    assert (found["hosts"], found["subjects"], found["promised"]) == (8, 20, 0.05)
    assert np.isnan(found["left_out"])
