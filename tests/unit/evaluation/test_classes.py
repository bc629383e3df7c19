"""Scores of several abnormality classes, against scikit-learn on the same thresholds."""

import numpy as np
import pandas
import pytest
from sklearn import metrics as sk

from normscan.evaluation.classes import (
    FPR,
    class_curves,
    class_rows,
    class_scores,
    class_table,
    patients_of_classes,
)
from normscan.evaluation.cohort import split_rows
from normscan.evaluation.residuals import Residuals
from normscan.postprocessing.class_counts import (
    THRESHOLDS,
    ClassCounts,
    class_arrays,
    load_class_counts,
)
from normscan.postprocessing.histograms import ScoreHistogram, save_histograms

CLASSES = {"tumour": [1, 4], "cavity": [2], "change": [3]}
SHAPE = (20, 16, 12)


def scan(seed: int, present=(1, 2, 4, 7)):
    """Scores, labels (7: of no class, 3: in no scan), a body that cuts off a part of a lesion."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, *present], SHAPE, p=[0.8, *[0.2 / len(present)] * len(present)])
    score = rng.gamma(2.0, 1.0, SHAPE) + 0.6 * (labels == 1) + 1.5 * (labels == 2) + (labels == 4)
    body = np.zeros(SHAPE, bool)
    body[2:-2] = True
    return score.astype(np.float32), labels, body


def expected(score, labels, body, positive):
    """Everything by scikit-learn, on scores that are rounded down to 1,000 thresholds."""
    normal, of_class = body & (labels == 0), np.isin(labels, positive)
    classed = np.isin(labels, [1, 2, 3, 4])
    used = score[normal | classed].astype(float)
    parts = np.linspace(used.min(), used.max(), THRESHOLDS + 1)[:-1]
    values = np.digitize(np.r_[score[normal], score[of_class]], parts)
    truth = np.r_[np.zeros(normal.sum(), int), np.ones(of_class.sum(), int)]
    fpr, tpr, points = sk.roc_curve(truth, values, drop_intermediate=False)
    found = values >= points[np.argmax(tpr - fpr)]
    return {
        "auroc": sk.roc_auc_score(truth, values),
        "sensitivity": sk.recall_score(truth, found),
        "specificity": sk.recall_score(truth, found, pos_label=0),
        "precision": sk.precision_score(truth, found),
        "f1": sk.f1_score(truth, found),
    }


def test_measures_are_scikit_learns():
    made = {f"sub-{seed}": scan(seed) for seed in range(3)}
    rows = class_rows({name: ClassCounts.of(*one, CLASSES) for name, one in made.items()})
    found = {(name, metric): value for name, _, metric, value in rows}
    for name, one in made.items():
        for label, positive in (("tumour", [1, 4]), ("cavity", [2])):
            for metric, value in expected(*one, positive).items():
                assert found[name, f"{label}:{metric}"] == pytest.approx(value, abs=2e-3), metric
    # No scan has a voxel of that class: there is nothing to say of it.
    assert not any(metric.startswith("change") for _, metric in found)
    assert {rule for _, rule, metric, _ in rows if metric.endswith("auroc")} == {"none"}
    assert {rule for _, rule, metric, _ in rows if not metric.endswith("auroc")} == {"oracle"}


def test_who_is_positive_and_who_negative():
    labels = np.array([0, 0, 0, 1, 2, 7, 0, 1])
    body = np.array([1, 1, 1, 1, 1, 1, 0, 0], bool)
    score = np.array([0, 1, 2, 3, 4, 9, 9, 1.5], np.float32)
    counts = ClassCounts.of(score, labels, body, {"a": [1], "b": [2], "both": [1, 2]}).counts
    # Air and a label of no class count nowhere; a lesion outside of the body counts.
    np.testing.assert_array_equal(counts.sum(axis=1), [3, 2, 1, 3])
    assert np.flatnonzero(counts[0]).tolist() == [0, 250, 500]
    scores = class_scores(counts[None])
    # Class b lies above all normal voxels, though a is there; 1.5 is above two of three.
    np.testing.assert_allclose(scores["auroc"][0], [(1 + 2 / 3) / 2, 1, (2 + 2 / 3) / 3])


@pytest.mark.parametrize("change", [lambda s: 7 * s - 3, lambda s: -s])
def test_only_the_order_of_even_steps_counts(change):
    score, labels, body = scan(5)
    one, other = (ClassCounts.of(s, labels, body, CLASSES) for s in (score, change(score)))
    areas = [class_scores(counts.counts[None])["auroc"][0, 0] for counts in (one, other)]
    if change(1.0) > change(2.0):
        areas[1] = 1 - areas[1]
    assert areas[0] == pytest.approx(areas[1], abs=2e-3)


def test_constant_scores_tell_nothing_and_empty_scans_have_no_rows():
    score, labels, body = scan(1)
    flat = ClassCounts.of(np.zeros_like(score), labels, body, CLASSES)
    scores = class_scores(flat.counts[None])
    np.testing.assert_allclose(scores["auroc"][0], [0.5, 0.5, np.nan])
    nothing = ClassCounts.of(score, np.zeros_like(labels), np.zeros_like(body), CLASSES)
    assert class_rows({"sub-1": nothing}) == [] and class_rows({}) == []


def test_written_counts_are_read_again(tmp_path):
    made = {f"sub-{seed}": ClassCounts.of(*scan(seed), CLASSES) for seed in range(2)}
    save_histograms(tmp_path / "a.npz", {}, **class_arrays(made))
    found = load_class_counts(tmp_path / "a.npz")
    assert {name: one.names for name, one in found.items()} == dict.fromkeys(made, tuple(CLASSES))
    for name, one in made.items():
        np.testing.assert_array_equal(found[name].counts, one.counts)
    save_histograms(tmp_path / "b.npz", {}, **class_arrays({}))
    assert load_class_counts(tmp_path / "b.npz") == {}


SUBJECT_OF = {"sub-01_ses-1": "01", "sub-01_ses-2": "01", "sub-02": "02", "sub-03": "03"}


@pytest.fixture(scope="module")
def cohort():
    """Four scans of three subjects; the last has no cavity."""
    made = {name: scan(seed) for seed, name in enumerate(SUBJECT_OF)}
    made["sub-03"] = scan(9, present=(1, 7))
    return made, {name: ClassCounts.of(*one, CLASSES) for name, one in made.items()}


def table(cohort):
    made, counts = cohort
    histograms, residuals = {}, {}
    for name, (score, labels, body) in made.items():
        lesion = np.isin(labels, [1, 2, 4])
        histograms[name] = ScoreHistogram.of(score, lesion, body | lesion)
        residuals[name] = (Residuals.of(score[~lesion]), Residuals.of(score[lesion]))
    scores = pandas.DataFrame(columns=["scan", "threshold_rule", "metric", "value"])
    return split_rows(SUBJECT_OF, histograms, residuals, scores, residual=False, classes=counts)


def test_patients_are_averaged_and_counted(cohort):
    rows = table(cohort)
    value = {
        (row.level, row.subject, row.scan, row.metric): row.value
        for row in rows.fillna("").itertuples()
    }
    areas = {
        name: expected(*one, [2])["auroc"] for name, one in cohort[0].items() if name != "sub-03"
    }
    first = (areas["sub-01_ses-1"] + areas["sub-01_ses-2"]) / 2
    assert value["subject", "01", "", "cavity:auroc"] == pytest.approx(first, abs=2e-3)
    both = [first, areas["sub-02"]]
    mean, std = (value["cohort", "", "", f"cavity:auroc_{end}"] for end in ("mean", "std"))
    assert (mean, std) == pytest.approx((np.mean(both), np.std(both)), abs=2e-3)
    assert value["cohort", "", "", "cavity:patients"] == 2
    assert value["cohort", "", "", "tumour:patients"] == 3
    assert patients_of_classes(rows[rows["level"] == "nothing"]) == []


def test_table_has_a_row_per_class_and_measure(cohort):
    rows = table(cohort).assign(split="test", cohort="x", approach="IntroVAE", seed=0)
    again = rows.assign(approach="VAE", value=rows["value"] / 2)
    found = class_table(pandas.concat([rows, again]), ["x"])
    assert list(found["class"].unique()) == ["cavity", "tumour"]
    assert list(found["approach"].unique()) == ["IntroVAE", "VAE"]
    own = found[(found["class"] == "cavity") & (found["metric"] == "f1")].iloc[0]
    assert own["threshold_rule"] == "oracle" and own["patients"] == 2
    assert len(found) == 2 * 2 * 5
    assert class_table(rows, ["y"]).empty


def test_mean_curve_is_that_of_subjects(cohort):
    curves = class_curves(cohort[1], SUBJECT_OF)
    assert set(curves) == {"tumour", "cavity"}
    assert (curves["cavity"]["patients"], curves["tumour"]["patients"]) == (2, 3)
    single = [class_curves({name: cohort[1][name]}, SUBJECT_OF) for name in SUBJECT_OF]
    recall = [np.array(one["tumour"]["recall"]) for one in single]
    mean = ((recall[0] + recall[1]) / 2 + recall[2] + recall[3]) / 3
    np.testing.assert_allclose(curves["tumour"]["recall"], mean, atol=1e-5)
    assert curves["tumour"]["recall"][-1] == 1 and (np.diff(curves["tumour"]["recall"]) >= 0).all()
    area = np.trapezoid(curves["tumour"]["recall"], FPR)
    assert curves["tumour"]["auroc"] == pytest.approx(area, abs=5e-3)
    assert class_curves({}, SUBJECT_OF) == {}
