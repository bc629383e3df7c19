"""Figures of a whole study: they show what they are given, also when there is little of it."""

import numpy as np
import pytest

from normscan.figures import matrices, study
from normscan.figures.curves import froc_curves
from normscan.figures.style import save_figure

NAN = float("nan")
NAMES = ["VAE", "AE (dense)", "FLAIR intensity"]
MATRIX = np.array([[1, 0.5, NAN], [0.5, 1, -0.7], [NAN, -0.7, 1]])
FIGURES = {
    "correlations": lambda: matrices.correlation_matrices(
        {name: (["auprc", "best_dice", "chi_square"], MATRIX) for name in ("ms", "tumour", "b")}
    ),
    "shares": lambda: study.training_shares(
        {"ms": {"VAE": {10: (0.1, NAN), 100: (0.3, 0.1)}, "f-AnoGAN": {50: (0.2, 0.01)}}}
    ),
    "no_shares": lambda: study.training_shares({"ms": {}}),
    "shift": lambda: study.domain_shift(
        {"VAE": {"ms": (0.1, NAN), "tumour": (0.2, 0.1)}, "AE (dense)": {"ms": (0.05, 0.0)}}
    ),
    "complexity": lambda: study.complexity(
        {"ms": {"VAE": (1_760_000, 0.3, NAN), "VAE, You 2019": (300_000, 0.2, 0.1)}}
    ),
    "significance": lambda: matrices.significance_matrix(
        NAMES, MATRIX, np.abs(MATRIX) - 0.6, title="ms", label="AUPRC"
    ),
    "ranks": lambda: study.rank_scatter(
        {"ms, MS": {"VAE": (0.4, 0.3), "AE (dense)": (0.2, 0.4)}}, {"ms, MS": "n = 2"}
    ),
    "froc": lambda: froc_curves(
        {"VAE": (np.array([0, 4, 2]), np.array([0.1, 0.3, 0.6])), "AE": (np.array([1]), [NAN])}
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_and_repeat_byte_by_byte(name, tmp_path):
    first, again = (save_figure(FIGURES[name](), tmp_path / part) for part in ("a", "b"))
    for one, other in zip(first, again):
        assert one.stat().st_size > 1000
        assert one.read_bytes() == other.read_bytes()


def texts(figure):
    return [one.get_text() for axes in figure.axes for one in axes.texts]


def test_correlations_are_written_and_missing_ones_left_empty():
    figure = FIGURES["correlations"]()
    assert texts(figure)[:7] == ["1.00", "0.50", "0.50", "1.00", "-0.70", "-0.70", "1.00"]


def test_only_differences_that_hold_are_marked():
    figure = matrices.significance_matrix(
        NAMES, MATRIX, np.array([[NAN, 0.01, 0.2], [0.01, NAN, 0.04], [0.2, 0.04, NAN]])
    )
    marked = {(t.get_position()[1], t.get_position()[0]) for t in figure.axes[0].texts}
    assert marked == {(0, 1), (1, 0), (1, 2), (2, 1)}


def test_more_false_alarms_never_find_less():
    figure = FIGURES["froc"]()
    line = next(one for one in figure.axes[0].lines if one.get_label() == "VAE")
    assert line.get_xdata().tolist() == [0, 2, 4]
    assert line.get_ydata().tolist() == [0.1, 0.6, 0.6]
