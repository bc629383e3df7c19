import numpy as np
import pandas
import pytest

from normscan.evaluation.metrics import (
    COLUMNS,
    is_oracle,
    marked,
    over_scans,
    over_seeds,
    over_subjects,
    score_metrics,
)
from normscan.evaluation.residuals import Residuals
from normscan.postprocessing.histograms import ScoreHistogram


def metrics_of(lesion, residual=True):
    score = np.array([0.1, 0.2, 0.4, 0.3, 0.5, 0.6], np.float32)
    histogram = ScoreHistogram.of(score, lesion, np.ones(6, bool))
    sums = Residuals.of(score[~lesion]), Residuals.of(score[lesion])
    rows = score_metrics(histogram, *sums, residual=residual)
    return {(rule, name): value for rule, name, value in rows}


def test_metrics_of_voxels_made_by_hand():
    found = metrics_of(np.array([0, 0, 0, 1, 1, 1], bool))
    assert found["none", "auroc"] == pytest.approx(8 / 9)
    assert found["none", "auprc"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert found["oracle", "best_dice"] == pytest.approx(6 / 7)
    assert 0.2 <= found["oracle", "best_dice_threshold"] < 0.3
    assert found["none", "l1_normal"] == pytest.approx(0.7 / 3)
    assert found["none", "l1_anomalous"] == pytest.approx(1.4 / 3)
    assert found["none", "l1_normal_std"] == pytest.approx(np.std([0.1, 0.2, 0.4]))
    assert 0 <= found["none", "chi_square"] <= 1


def test_what_was_found_with_its_own_labels_is_an_oracle_and_nothing_else_is():
    found = metrics_of(np.array([0, 0, 0, 1, 1, 1], bool))
    oracle = {name for rule, name in found if rule == "oracle"}
    assert oracle == {"best_dice", "best_dice_threshold"}
    assert {rule for rule, _ in found} == {"oracle", "none"}


def test_a_map_that_is_no_residual_has_no_l1_error_and_all_else():
    lesion = np.array([0, 0, 0, 1, 1, 1], bool)
    found, of_residual = metrics_of(lesion, residual=False), metrics_of(lesion)
    assert not [name for _, name in found if name.startswith("l1_")]
    assert found == {key: v for key, v in of_residual.items() if not key[1].startswith("l1_")}


def test_without_lesions_only_the_normal_voxels_have_values():
    found = metrics_of(np.zeros(6, bool))
    known = {name for (_, name), value in found.items() if np.isfinite(value)}
    assert known == {"l1_normal", "l1_normal_std"}


def test_scans_of_a_subject_become_their_mean():
    rows = pandas.DataFrame(
        [
            ["01", "sub-01_ses-1", "none", "auprc", 0.2],
            ["01", "sub-01_ses-2", "none", "auprc", 0.6],
            ["01", "sub-01_ses-3", "none", "auprc", np.nan],
            ["02", "sub-02", "none", "auprc", 0.1],
            ["01", "sub-01_ses-1", "best_dice", "dice", 0.3],
            [np.nan, "sub-03", "none", "auprc", np.nan],
        ],
        columns=["subject", "scan", "threshold_rule", "metric", "value"],
    )
    found = over_scans(rows)
    assert list(found.columns) == ["subject", "threshold_rule", "metric", "value"]
    assert found["value"].tolist() == pytest.approx([0.4, 0.1, 0.3, np.nan], nan_ok=True)


def test_a_rule_that_chose_its_threshold_here_is_marked_and_stays_recognisable():
    assert marked("best_dice", ["best_dice", "youden"]) == "oracle:best_dice"
    assert marked("healthy_fpr_0.01", ["best_dice"]) == "healthy_fpr_0.01"
    assert [is_oracle(rule) for rule in ("oracle", "oracle:best_dice", "best_dice", "none")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_mean_and_spread_over_subjects_leave_missing_values_out():
    rows = pandas.DataFrame(
        [
            ["healthy_fpr_0.01", "dice", 0.2],
            ["healthy_fpr_0.01", "dice", 0.6],
            ["healthy_fpr_0.01", "recall", np.nan],
            ["healthy_fpr_0.01", "recall", 0.5],
            ["best_dice", "dice", 0.9],
            ["best_dice", "precision", np.nan],
        ],
        columns=["threshold_rule", "metric", "value"],
    )
    found = {(rule, name): value for rule, name, value in over_subjects(rows)}
    assert found["healthy_fpr_0.01", "dice_mean"] == pytest.approx(0.4)
    assert found["healthy_fpr_0.01", "dice_std"] == pytest.approx(0.2)
    assert found["healthy_fpr_0.01", "recall_mean"] == pytest.approx(0.5)
    assert found["best_dice", "dice_mean"] == pytest.approx(0.9)
    assert np.isnan(found["best_dice", "precision_mean"])


def test_mean_and_spread_over_seeds():
    def row(seed, level, subject, value):
        return ["ms", "demo/vae", seed, "test", level, subject, None, "none", "auprc", value]

    rows = pandas.DataFrame(
        [
            row(0, "cohort", np.nan, 0.4),
            row(1, "cohort", np.nan, 0.6),
            row(0, "subject", "01", 0.1),
            row(1, "subject", "01", np.nan),
        ],
        columns=COLUMNS,
    )
    found = over_seeds(rows).set_index("level")
    assert found.loc["cohort", "seeds"] == 2
    assert found.loc["cohort", "mean"] == pytest.approx(0.5)
    assert found.loc["cohort", "std"] == pytest.approx(np.sqrt(0.02))
    assert found.loc["subject", "seeds"] == 1 and np.isnan(found.loc["subject", "std"])
