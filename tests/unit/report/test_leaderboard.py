"""From metric rows to the leaderboard and what it says."""

import numpy as np
import pandas as pd
import pytest
from made_content import TITLES, metrics

from normscan.errors import NormscanError
from normscan.evaluation.metrics import COLUMNS
from normscan.report.leaderboard import leaderboard, postprocessing_text, prior_text
from normscan.report.report import leaderboard_sections


def rows(*entries) -> pd.DataFrame:
    """(approach, seed, AUPRC) as metric rows."""
    return pd.DataFrame(
        [("ms", f"p/{name}", seed, "test", "cohort", None, None, "none", "auprc", value)
         for name, seed, value in entries],
        columns=COLUMNS,
    )  # fmt: skip


def said(*entries, baseline="intensity") -> str:
    return " ".join(leaderboard(rows(*entries), baseline=baseline).sentences)


def test_means_and_spreads_are_those_of_the_rows():
    table = metrics(cohorts=["ms"])
    board = leaderboard(table, titles=TITLES, baseline="intensity")
    row = next(row for row in board.rows if row.approach == "demo/vae")
    own = table[table["approach"] == "demo/vae"]
    cells = {(c.metric, c.rule): cell for c, cell in zip(board.columns, row.cells)}
    auprc = own[own["metric"] == "auprc"]["value"]
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
    board = leaderboard(pd.concat([one, other]), baseline={"p": "intensity", "q": "intensity"})
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


def test_prior_and_postprocessing_in_words():
    assert prior_text("hyperintense").startswith("hyperintense: only voxels brighter")
    text = postprocessing_text({"erosion": 1, "median": 5, "minimum_voxels": 8})
    assert text == (
        "brain mask eroded by 1 voxel, 3D median filter 5×5×5, components below 8 voxels dropped"
    )
    assert postprocessing_text({}) == "not stated"
