"""AUROC of slices by lesion size: what is drawn, and that it repeats."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from normscan.figures.collection import Figures
from normscan.figures.slice_areas import (
    FEWEST,
    MOST,
    add_slice_areas,
    drawn_slices,
    medians,
    size_scatter,
)
from normscan.figures.style import save_figure


def points(count, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(4, 4000, count), random.random(count)


def test_a_panel_per_approach_shows_its_slices(tmp_path):
    made = {
        "ADM": points(40),
        "DAGMM": points(3, 1),
        "a": points(1),
        "b": points(9),
        "c": points(9),
    }
    figure = size_scatter(made)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") or axes.get_title() for axes in shown] == list(made)
    for axes, (size, area) in zip(shown, made.values()):
        drawn = axes.collections[0].get_offsets()
        assert np.allclose(np.sort(drawn[:, 0]), np.sort(size)) and len(drawn) == len(area)
    first, again = (save_figure(size_scatter(made), tmp_path / part) for part in ("a", "b"))
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(first, again))


def test_of_many_slices_the_same_ones_are_drawn_and_the_median_is_of_all():
    assert drawn_slices(7).tolist() == list(range(7))
    chosen = drawn_slices(5000)
    assert len(set(chosen.tolist())) == MOST and chosen.tolist() == drawn_slices(5000).tolist()


def test_medians_are_of_doublings_with_enough_slices():
    size = np.array([2.0, 3, 3, 2, 3, 8, 9, 70])
    area = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9])
    assert FEWEST == 5
    middle, value = medians(size, area)
    assert (middle.tolist(), value.tolist()) == ([3], [pytest.approx(0.3)])


def test_only_slices_of_the_split_are_drawn_and_without_any_nothing_is():
    table = pandas.DataFrame(
        {"lesion_mm2": [4.0, 8.0], "auroc": [0.5, 0.7], "split": ["test", "validation"]}
    )
    kept = []
    figures = SimpleNamespace(looks={}, add=lambda figure, *words: kept.append((figure, words)))
    add_slice_areas(figures, "brats", {"ADM": table}, "test")
    ((figure, words),) = kept
    assert words[0] == "slice_auroc" and "brats" in words[2]
    assert figure.axes[0].collections[0].get_offsets()[:, 0].tolist() == [4.0]
    nothing = Figures(Path("nowhere"))
    add_slice_areas(nothing, "brats", {"ADM": table.iloc[1:]}, "test")
    assert nothing.done == []
