"""Study tables from made metrics, against numpy and scipy."""

import numpy as np
import pandas
import pytest
from scipy import stats

from normscan.evaluation import study
from normscan.evaluation.metrics import COLUMNS

APPROACHES = ["VAE", "AE (dense)", "FLAIR intensity", "f-AnoGAN"]


@pytest.fixture
def metrics():
    """Two cohorts, four approaches, three seeds, six patients; random values."""
    random = np.random.default_rng(0)
    rows = []
    for cohort in ("ms", "tumour"):
        for approach in APPROACHES:
            for seed in range(3):
                start = [cohort, approach, seed, "test"]
                for name, rule in study.MEASURES.items():
                    rows.append([*start, "cohort", "", "", rule, name, random.random()])
                for subject in range(6):
                    of = [*start, "subject", f"sub-{subject}", ""]
                    rows.append([*of, "none", "auprc", random.random()])
                    for measure in study.PATIENT_MEASURES[1:]:
                        rows.append([*of, "best_dice", measure, random.random()])
                        rows.append([*of, "other", measure, -1.0])
                # Validation must have no part in anything.
                held_out = [cohort, approach, seed, "validation", "cohort", "", ""]
                rows.append([*held_out, "none", "auprc", 9.0])
    return pandas.DataFrame(rows, columns=COLUMNS)


def pick(metrics, cohort, approach, measure, level="cohort"):
    return metrics[
        (metrics["cohort"] == cohort)
        & (metrics["approach"] == approach)
        & (metrics["metric"] == measure)
        & (metrics["split"] == "test")
        & (metrics["level"] == level)
        & (metrics["threshold_rule"] != "other")
    ]


def test_summary_is_mean_and_spread_over_seeds(metrics):
    table = study.summary(metrics)
    assert len(table) == 2 * 4 * 5
    row = table[
        (table["cohort"] == "ms") & (table["approach"] == "VAE") & (table["metric"] == "auprc")
    ].iloc[0]
    values = pick(metrics, "ms", "VAE", "auprc")["value"].to_numpy(float)
    assert (row["mean"], row["std"]) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert row["seeds"] == 3


def test_correlations_agree_with_numpy(metrics):
    found = study.correlations(study.summary(metrics), "tumour")
    values = [
        [pick(metrics, "tumour", a, m)["value"].mean() for a in sorted(APPROACHES)]
        for m in study.MEASURES
    ]
    assert list(found.columns) == list(study.MEASURES)
    np.testing.assert_allclose(found.to_numpy(), np.corrcoef(values))
    few = metrics[metrics["approach"].isin(APPROACHES[:2])]
    assert study.correlations(study.summary(few), "ms").isna().all(axis=None)


def test_correlations_leave_out_what_reconstructs_nothing():
    """Three models whose L1 falls as AUPRC rises, and a baseline whose "L1" is a mean rank."""
    values = {"AE": (0.1, 0.040), "VAE": (0.2, 0.030), "GMVAE": (0.3, 0.028)}
    values["FLAIR intensity"] = (0.7, 0.5)
    made = [
        ["tumour", approach, metric, value, np.nan, 1]
        for approach, pair in values.items()
        for metric, value in zip(("auprc", "l1_normal"), pair)
    ]
    columns = ["cohort", "approach", "metric", "mean", "std", "seeds"]
    with_rank = pandas.DataFrame(made, columns=columns)
    models = np.corrcoef(np.array(list(values.values())[:3]).T)[0, 1]
    assert study.correlations(with_rank, "tumour").loc["auprc", "l1_normal"] > 0.9 > 0 > models
    # metrics.tsv has no L1 of a map that is no residual; then no measure of it counts.
    rank = (with_rank["approach"] == "FLAIR intensity") & (with_rank["metric"] == "l1_normal")
    table = with_rank[~rank]
    assert study.with_residuals(table) == ["AE", "VAE", "GMVAE"]
    found = study.correlations(table, "tumour")
    assert found.loc["auprc", "l1_normal"] == pytest.approx(models)
    other = table.assign(metric=table["metric"].replace("l1_normal", "chi_square"))
    both = pandas.concat([table, other[other["metric"] == "chi_square"]])
    extra = ["tumour", "FLAIR intensity", "chi_square", 0.0, np.nan, 1]
    both = pandas.concat([both, pandas.DataFrame([extra], columns=columns)])
    assert study.correlations(both, "tumour").loc["auprc", "chi_square"] == pytest.approx(models)
    none = table[table["metric"] == "auprc"]
    assert study.correlations(none, "tumour").empty


def test_the_strongest_of_some_approaches():
    values = {"rank": 0.4, "median": 0.6, "broken": float("nan"), "vae": 0.9}
    assert study.strongest(values, ["rank", "median", "broken", "absent"]) == "median"
    assert study.strongest(values, ["broken"]) == "" == study.strongest({}, [])


def test_ranks_are_compared_over_common_approaches():
    ours = {"a": 0.5, "b": 0.4, "c": 0.1, "mine": 0.9, "failed": float("nan")}
    theirs = {"c": 0.2, "b": 0.3, "a": 0.1, "other": 0.8, "failed": 0.4}
    found = study.rank_correlation(ours, theirs)
    assert found["approaches"] == 3
    assert found["rho"] == pytest.approx(stats.spearmanr([0.5, 0.4, 0.1], [0.1, 0.3, 0.2])[0])
    assert np.isnan(study.rank_correlation({"a": 1.0}, theirs)["rho"])


def test_patients_are_what_is_sampled(metrics):
    table = study.patient_statistics(metrics, "ms", "best_dice")
    row = table[(table["approach"] == "VAE") & (table["metric"] == "dice")].iloc[0]
    rows = pick(metrics, "ms", "VAE", "dice", "subject")
    patients = rows.groupby("subject")["value"].mean()
    assert row["patients"] == 6 and row["mean"] == pytest.approx(patients.mean())
    assert row["low"] < row["mean"] < row["high"]
    seeds = rows.groupby("seed")["value"].mean().std(ddof=1)
    assert row["seeds_std"] == pytest.approx(seeds)
    assert set(table["metric"]) == set(study.PATIENT_MEASURES)


def test_missing_values_of_patients_are_left_out(metrics):
    spoiled = metrics.copy()
    gone = (spoiled["metric"] == "lesion_recall") & (spoiled["subject"] == "sub-2")
    spoiled.loc[gone, "value"] = np.nan
    table = study.patient_statistics(spoiled, "ms", "best_dice")
    assert set(table.loc[table["metric"] == "lesion_recall", "patients"]) == {5}


def test_every_pair_is_tested_on_seed_means(metrics):
    table = study.comparisons(metrics, "ms", "best_dice")
    assert len(table) == 2 * 6 and set(table["metric"]) == {"auprc", "dice"}
    row = table[
        (table["metric"] == "dice") & (table["first"] == "VAE") & (table["second"] == "f-AnoGAN")
    ].iloc[0]
    one, other = (
        pick(metrics, "ms", a, "dice", "subject").groupby("subject")["value"].mean()
        for a in ("VAE", "f-AnoGAN")
    )
    assert row["difference"] == pytest.approx((one - other).mean())
    assert row["p"] == pytest.approx(stats.wilcoxon(one - other, zero_method="zsplit").pvalue)
    assert (table["p_holm"] >= table["p"]).all()
