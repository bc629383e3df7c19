"""From metric rows to the leaderboard and what it says."""

import re

import numpy as np
import pandas as pd
import pytest
from made_content import TITLES, metrics

from normscan.errors import NormscanError
from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.study import comparisons
from normscan.report.boards import leaderboard_sections
from normscan.report.leaderboard import leaderboard, postprocessing_text, prior_text
from normscan.report.preprocessing import scale_of
from normscan.report.report import build_report
from normscan.report.tables import board_table


def rows(*entries) -> pd.DataFrame:
    """(approach, seed, AUPRC) as metric rows."""
    return pd.DataFrame(
        [("ms", f"p/{name}", seed, "test", "cohort", None, None, "none", "auprc", value)
         for name, seed, value in entries],
        columns=COLUMNS,
    )  # fmt: skip


def patient_rows(entries, patients=12) -> pd.DataFrame:
    """The same entries per patient: the better approach is better for all, by unequal steps."""
    made = [
        ("ms", f"p/{name}", seed, "test", "subject", f"{one:02}", None, "none", "auprc",
         value * (1 + 0.01 * one))
        for name, seed, value in entries
        for one in range(patients)
    ]  # fmt: skip
    return pd.DataFrame(made, columns=COLUMNS)


def paired_tests(table) -> pd.DataFrame:
    """Paired tests of the protocol ``p`` with short names as titles."""
    return comparisons(table.assign(approach=table["approach"].str[2:]), "ms", "best_dice")


def board_of(*entries, baseline="intensity", patients=12):
    """Board of approaches that were scored on pooled voxels and, alike, per patient."""
    table = pd.concat([rows(*entries), patient_rows(entries, patients)], ignore_index=True)
    tests = paired_tests(table)
    return leaderboard(table, baseline=baseline, tests={"p": tests[tests["metric"] == "auprc"]})


def said(*entries, **options) -> str:
    return " ".join(board_of(*entries, **options).sentences)


def test_means_and_spreads_are_those_of_the_rows():
    table = metrics(cohorts=["ms"])
    board = leaderboard(table, titles=TITLES, baseline="intensity")
    row = next(row for row in board.rows if row.approach == "demo/vae")
    own = table[table["approach"] == "demo/vae"]
    cells = {(c.metric, c.rule): cell for c, cell in zip(board.columns, row.cells)}
    auprc = own[(own["metric"] == "auprc") & (own["level"] == "cohort")]["value"]
    assert cells["auprc", "none"].mean == pytest.approx(auprc.mean())
    assert cells["auprc", "none"].seeds_std == pytest.approx(auprc.std(ddof=1))
    dice = own[(own["metric"] == "dice") & (own["threshold_rule"] == "best_dice")]
    by_seed = dice.groupby("seed")["value"]
    assert cells["dice", "best_dice"].mean == pytest.approx(by_seed.mean().mean())
    assert cells["dice", "best_dice"].seeds_std == pytest.approx(by_seed.mean().std(ddof=1))
    assert cells["dice", "best_dice"].patients_std == pytest.approx(by_seed.std(ddof=0).mean())
    assert board.patients == 6 and row.title == "VAE" and row.seeds == 3


def test_sorted_by_auprc_and_the_best_of_each_column_is_marked():
    board = leaderboard(metrics(cohorts=["ms"]))
    areas = [row.cells[0].mean for row in board.rows]
    assert areas == sorted(areas, reverse=True)
    assert [row.cells[0].best for row in board.rows] == [True, False, False, False, False]
    errors = [place for place, column in enumerate(board.columns) if column.metric == "l1_normal"]
    assert not any(row.cells[place].best for row in board.rows for place in errors)


def test_only_oracle_columns_are_marked_and_they_say_so():
    board = leaderboard(metrics(cohorts=["ms"]))
    oracle = [column for column in board.columns if column.oracle]
    assert [column.metric for column in oracle] == ["best_dice"]
    assert all("oracle" in column.label for column in oracle)
    assert not any("oracle" in column.label for column in board.columns if not column.oracle)


def test_dice_under_the_rule_oracle_is_also_marked():
    table = pd.concat([rows(("a", 0, 0.2)), rows(("a", 0, 0.5))], ignore_index=True)
    table.loc[1, ["metric", "threshold_rule"]] = "dice", "oracle"
    board = leaderboard(table)
    place = [column.oracle for column in board.columns].index(True)
    assert board.rows[0].cells[place].mean == 0.5 and len(board.columns) == 3


def test_validation_rows_do_not_count():
    table = rows(("a", 0, 0.2), ("a", 1, 0.9))
    table.loc[1, "split"] = "validation"
    assert leaderboard(table).rows[0].cells[0].mean == 0.2


def test_one_seed_has_no_spread():
    assert np.isnan(leaderboard(rows(("a", 0, 0.2))).rows[0].cells[0].seeds_std)


def test_says_when_no_model_beats_the_baseline():
    assert "no model beats it" in said(("intensity", 0, 0.5), ("ae", 0, 0.2), ("vae", 0, 0.5))


def test_says_which_model_does_not_beat_the_baseline():
    text = said(("intensity", 0, 0.3), ("ae", 0, 0.2), ("vae", 0, 0.4))
    assert "1 of 2 models beat it: ae does not beat it" in text


def test_says_when_every_model_beats_the_baseline():
    assert "every model beats it" in said(("intensity", 0, 0.1), ("ae", 0, 0.2), ("vae", 0, 0.4))
    assert "the model beats it" in said(("intensity", 0, 0.1), ("ae", 0, 0.2))


def test_a_lead_within_the_spread_over_seeds_is_called_that():
    text = said(("intensity", 0, 0.3), ("intensity", 1, 0.3), ("vae", 0, 0.25), ("vae", 1, 0.37))
    assert "vae leads by no more than the spread over seeds" in text
    assert "no model clearly beats it" in text


def test_a_lead_that_patients_do_not_confirm_is_not_called_beating():
    table = pd.concat(
        [
            rows(("intensity", 0, 0.5), ("vae", 0, 0.5001)),
            patient_rows([("intensity", 0, 0.5), ("vae", 0, 0.5001)]),
        ],
        ignore_index=True,
    )
    per_patient = (table["level"] == "subject") & (table["approach"] == "p/vae")
    table.loc[per_patient, "value"] += np.random.default_rng(0).normal(0, 0.1, 12)
    board = leaderboard(table, baseline="intensity", tests={"p": paired_tests(table)})
    assert board.rows[0].title == "vae" and board.rows[0].delta == pytest.approx(0.0001)
    assert board.rows[0].verdict == "no significant difference" and board.rows[0].test.p > 0.05
    text = board.sentences[1]
    assert "the lead of vae is not significant over patients" in text
    assert "no model clearly beats it" in text and "the model beats it" not in text


def test_too_few_patients_decide_nothing_and_the_report_says_how_many_are_needed():
    text = said(("intensity", 0, 0.3), ("vae", 0, 0.6), patients=5)
    assert "whether a model beats it cannot be decided" in text
    assert "5 patients cannot decide about vae (1 comparison: at least 6 needed)" in text
    assert "the model beats it" in said(("intensity", 0, 0.3), ("vae", 0, 0.6), patients=6)


def test_more_comparisons_need_more_patients():
    entries = [("intensity", 0, 0.3), ("vae", 0, 0.6), ("ae", 0, 0.5), ("gan", 0, 0.4)]
    assert "at least 8 needed" in said(*entries, patients=7)
    assert "every model beats it" in said(*entries, patients=8)


def test_without_tests_over_patients_nothing_beats_the_baseline():
    board = leaderboard(rows(("intensity", 0, 0.3), ("vae", 0, 0.6)), baseline="intensity")
    assert "whether a model beats it cannot be decided" in board.sentences[1]
    assert "vae was not tested over patients" in board.sentences[1]


def test_voxels_and_patients_that_disagree_are_told():
    table = pd.concat(
        [
            rows(("intensity", 0, 0.3), ("vae", 0, 0.4)),
            patient_rows([("intensity", 0, 0.5), ("vae", 0, 0.2)]),
        ],
        ignore_index=True,
    )
    board = leaderboard(table, baseline="intensity", tests={"p": paired_tests(table)})
    assert board.rows[0].verdict == "voxels and patients disagree"
    assert "all voxels together and patients one by one disagree about vae" in board.sentences[1]


def test_models_are_compared_with_the_strongest_training_free_approach():
    entries = [("rank", 0, 0.3), ("median", 0, 0.5), ("vae", 0, 0.4), ("ae", 0, 0.6)]
    board = board_of(*entries, baseline={"p": ["rank", "median"]})
    verdicts = {row.title: row.verdict for row in board.rows}
    assert verdicts == {
        "ae": "beats the baseline",
        "median": "baseline",
        "vae": "does not beat the baseline",
        "rank": "another baseline",
    }
    text = board.sentences[1]
    assert "strongest of 2 training-free baselines, picked on the scans scored here" in text
    assert "median with 0.500; 1 of 2 models beat it: vae does not beat it." in text
    # Where there is one, the sentence needs no such remark.
    assert "strongest" not in said(*entries, baseline={"p": "median"})


def test_the_table_shows_the_test_beside_the_verdict():
    shown = board_table(board_of(("intensity", 0, 0.3), ("vae", 0, 0.4)))
    cells = [cell for row in shown["rows"] for cell in row if "beats it" in cell["small"]]
    (text,) = [cell["small"] for cell in cells]
    assert re.fullmatch(
        r"beats it\npatients \+0\.106 \[\+0\.10\d, \+0\.10\d\], p\xa0=\xa00\.00049", text
    )


def made_tests(**changes) -> pd.DataFrame:
    """One comparison of AUPRC and one of Dice as ``tests.tsv`` has them."""
    one = {"first": "intensity", "second": "vae", "patients": 12, "p_holm": 0.01} | changes
    area = {"metric": "auprc", "difference": -0.1, "low": -0.15, "high": -0.02}
    return pd.DataFrame(
        [area | one, {"metric": "dice", "difference": 0.05, "low": 0, "high": 0.1} | one]
    )


def test_intervals_have_the_sign_of_model_less_baseline_and_dice_stands_beside():
    table = rows(("intensity", 0, 0.3), ("vae", 0, 0.4))
    board = leaderboard(table, baseline="intensity", tests={"p": made_tests()})
    test = board.rows[0].test
    assert (test.difference, test.low, test.high, test.tests) == (0.1, 0.02, 0.15, 1)
    assert test.dice == (-0.05, -0.1, 0) and board.rows[0].verdict == "beats the baseline"
    assert board.sentences[2] == (
        "Over 12 patients, vae less the baseline: AUPRC +0.100 [+0.020, +0.150], Dice −0.050 "
        "[−0.100, +0.000] (mean difference with its 95 % interval)."
    )
    small = board_table(board)["rows"][0][2]["small"]
    assert small.endswith("Dice −0.050 [−0.100, +0.000]")


def test_of_few_patients_no_95_percent_interval_is_said():
    table = rows(("intensity", 0, 0.3), ("vae", 0, 0.4))
    for patients, said in ((2, "at most a 50 % interval"), (6, "with its 95 % interval")):
        tests = {"p": made_tests(patients=patients, p_holm=0.5)}
        assert said in leaderboard(table, baseline="intensity", tests=tests).sentences[2]


def test_an_interval_that_holds_zero_is_no_claim():
    table = rows(("intensity", 0, 0.3), ("vae", 0, 0.4))
    tests = made_tests(high=0.01)
    board = leaderboard(table, baseline="intensity", tests={"p": tests})
    assert board.rows[0].test.p < 0.05 and board.rows[0].verdict == "no significant difference"
    board = leaderboard(table, baseline="intensity", tests={"p": made_tests(high=np.nan)})
    assert board.rows[0].verdict == "no significant difference"


def test_an_l1_error_is_shown_only_of_residuals_and_a_dash_says_why():
    shown = board_table(leaderboard(metrics(cohorts=["ms"]), titles=TITLES))
    place = [column["label"] for column in shown["columns"]].index("L1 normal")
    assert "no residuals of a reconstruction" in shown["columns"][place]["note"]
    cells = {row[0]["text"]: row[place] for row in shown["rows"]}
    assert (cells["FLAIR intensity"]["text"], cells["FLAIR intensity"]["small"]) == (
        "–",
        "no residual",
    )
    assert cells["VAE"]["text"] != "–" and "residual" not in cells["VAE"]["small"]


def test_a_missing_baseline_is_told():
    assert "No training-free baseline was run" in said(("vae", 0, 0.4))
    assert "No training-free baseline was run" in said(("vae", 0, 0.4), baseline="")


def test_no_rows_and_no_area_give_a_sentence():
    empty = rows(("a", 0, 0.2)).iloc[:0]
    assert leaderboard(empty).sentences == ["No approach has an AUPRC on this cohort."]
    assert leaderboard(rows(("a", 0, np.nan))).best is None


def test_missing_columns_are_named():
    with pytest.raises(NormscanError, match="lacks the columns seed and value"):
        leaderboard(rows(("a", 0, 0.2)).drop(columns=["seed", "value"]))


def test_each_protocol_is_compared_with_its_own_baseline():
    one = rows(("intensity", 0, 0.3), ("vae", 0, 0.4))
    other = one.assign(approach=one["approach"].str.replace("p/", "q/"), value=[0.5, 0.45])
    patients = patient_rows([("intensity", 0, 0.3), ("vae", 0, 0.4)])
    tests = paired_tests(pd.concat([one, patients]))
    board = leaderboard(
        pd.concat([one, other]),
        baseline={"p": "intensity", "q": "intensity"},
        tests={"p": tests, "q": tests.iloc[:0]},
    )
    verdicts = {row.approach: row.verdict for row in board.rows}
    assert verdicts["p/vae"] == "beats the baseline"
    assert verdicts["q/vae"] == "does not beat the baseline"
    assert "vae (q)" not in board.sentences[1]


def test_metrics_are_cut_by_cohort_and_protocol_with_a_combined_board():
    one = rows(("vae", 0, 0.4))
    other = one.assign(approach="q/vae")
    third = one.assign(cohort="gb")
    sections = leaderboard_sections(pd.concat([one, other, third]), priors={"gb": "none"})
    named = [(entry["cohort"], entry["protocol"], len(entry["rows"])) for entry in sections]
    assert named == [("ms", "", 2), ("ms", "p", 1), ("ms", "q", 1), ("gb", "p", 1)]


def test_every_board_says_which_scale_was_used():
    one = rows(("vae", 0, 0.4))
    table = pd.concat([one, one.assign(approach="q/vae")])
    scales = {
        "p": scale_of([{"step": "register"}, {"step": "normalise", "percentile": 98}]),
        "q": scale_of([{"step": "normalise", "method": "median"}]),
    }
    boards = leaderboard_sections(table, scales=scales)
    assert [entry["scale"] for entry in boards] == [
        "divided by the 98th percentile of the brain in p; divided by the brain's median, bright "
        "lesions set aside in q",
        "divided by the 98th percentile of the brain",
        "divided by the brain's median, bright lesions set aside",
    ]
    page = build_report({"leaderboards": boards})
    assert page.count("Intensities: divided by the 98th percentile") == 1
    assert "intensities: divided by the brain&#39;s median" in page
    assert leaderboard_sections(one)[0]["scale"] == "not stated"


def test_a_matched_histogram_is_a_scale_and_so_is_none():
    steps = [{"step": "normalise", "method": "zscore"}, {"step": "match_histogram"}]
    assert scale_of(steps) == "z-scores of the brain, then histograms matched to a reference"
    assert scale_of([{"step": "register"}]) == "as the scans came"


def test_prior_and_postprocessing_in_words():
    assert prior_text("hyperintense").startswith("hyperintense: only voxels brighter")
    text = postprocessing_text({"erosion": 1, "median": 5, "minimum_voxels": 8})
    assert text == (
        "brain mask eroded by 1 voxel, 3D median filter 5×5×5, components below 8 voxels dropped"
    )
    assert postprocessing_text({}) == "not stated"


def test_the_baseline_chosen_without_labels_is_what_models_are_compared_with():
    entries = [("intensity", 0, 0.5), ("rank", 0, 0.3), ("vae", 0, 0.4)]
    table = pd.concat([rows(*entries), patient_rows(entries)], ignore_index=True)
    tests = paired_tests(table)
    both = {"p": ["intensity", "rank"]}
    tests = {"p": tests[tests["metric"] == "auprc"]}
    told = leaderboard(table, baseline=both, tests=tests, chosen={"p": "rank"})
    verdicts = {row.title: row.verdict for row in told.rows}
    assert verdicts == {
        "rank": "baseline",
        "intensity": "another baseline",
        "vae": "beats the baseline",
    }
    assert "Of 2 training-free baselines, the one chosen without labels" in " ".join(told.sentences)
    # What no score was found for is not compared with.
    other = leaderboard(table, baseline=both, tests=tests, chosen={"p": "missing"})
    assert {row.title for row in other.rows if row.verdict == "baseline"} == {"intensity"}
