"""What the report says of choices without labels, from the tables of a study."""

import json

import pandas
import pytest

from normscan.evaluation.healthy_rates import COLUMNS as RATE_COLUMNS
from normscan.evaluation.selection import RANK_COLUMNS, REGRET_COLUMNS, SCORE_COLUMNS
from normscan.files import write_tsv
from normscan.report.report import build_report
from normscan.report.selection import chosen_baselines, selection, sentences

REGRET = [
    ["ms", "approach", "auprc", True, "AE", 0.4, "VAE", 0.5, 0.1, 0.15, 3],
    ["ms", "baseline", "auprc", True, "rank", 0.3, "rank", 0.3, 0.0, 0.05, 2],
    ["ms", "threshold", "dice", True, "best_synthetic", 0.41, "best possible", 0.44, 0.03, None, 2],
    ["wmh", "approach", "auprc", True, "AE", 0.6, "AE", 0.6, 0.0, 0.2, 3],
]
SCORES = [
    ["hyperintense", "balls", 9, "AE", False, "approach", 0.8, 0.7, 0.6, 0.8, 0.7, 0.6, 0.8],
    ["hyperintense", "balls", 9, "rank", True, "baseline", 0.2, 0.5, 0.4, 0.6, 0.5, 0.4, 0.6],
]
RANKS = [["ms", "all", 6, 3, 0.5, 0.6, 9, None], ["ms", "below 1 ml", 2, 3, 1.0, 0.1, 3, 0.5]]
RATES = [["AE", "conformal_0.05", 0.05, None, 20, 0.03, 0.04, 9, 0.06, 0.03, 0.09, 0.4]]


@pytest.fixture
def summary(tmp_path):
    path = tmp_path / "selection.json"
    path.write_text(json.dumps({"protocol": "p", "baselines": {"ms": "rank"}, "figures": []}))
    for name, rows, columns in (
        ("", REGRET, REGRET_COLUMNS),
        ("_scores", SCORES, SCORE_COLUMNS),
        ("_ranks", RANKS, RANK_COLUMNS),
        ("_rates", RATES, RATE_COLUMNS),
    ):
        table = pandas.DataFrame(rows, columns=columns)
        write_tsv(tmp_path / f"selection{name}.tsv", table)
    return str(path)


def test_sentences_say_what_the_choice_cost_and_what_chance_would(summary):
    one, other = sentences([summary])
    assert "On ms (p), AE would have been chosen without labels: AUPRC 0.400" in one
    assert "0.100 below the best (VAE)" in one and "at random would be 0.150 below" in one
    assert "a Dice of 0.410 where 0.440 is possible" in one
    assert "the best of 3 approaches" in other and "Dice" not in other


def test_tables_and_sentences_stand_in_the_report(summary):
    tables = selection([summary])
    assert len(tables) == 4
    page = build_report({"selection": tables, "selected": sentences([summary])})
    for words in (
        "Choosing without labels",
        "best Dice on synthetic anomalies (no labels)",
        "at most 5 % false positives promised on new healthy scans",
        "0.060 [0.030, 0.090]",
        "AE would have been chosen",
    ):
        assert words in page, words
    assert "Choosing without labels" not in build_report({})
    assert chosen_baselines([summary]) == {"p": {"ms": "rank"}}
