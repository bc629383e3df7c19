"""Violins, boxes and stages: they show what they are given."""

import made_figures as made
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from normscan.figures.boxes import box_rows, stage_rows
from normscan.figures.style import save_figure
from normscan.figures.violins import dice_violins


def row(label="best", seed=1):
    found = made.slice_row(label, seed)
    return {**found, "thresholded": found["detection"] | (found["map"] > 0.08)}


FIGURES = {
    "violins": lambda: dice_violins(made.dice()["best_dice"], title="ms"),
    "boxes": lambda: box_rows([row(), row("worst", 2)], title="StRegA"),
    "stages": lambda: stage_rows([row(), row("worst", 2)], title="StRegA"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_and_repeat_byte_by_byte(name, tmp_path):
    first, again = (save_figure(FIGURES[name](), tmp_path / part) for part in ("a", "b"))
    for one, other in zip(first, again):
        assert one.stat().st_size > 1000
        assert one.read_bytes() == other.read_bytes()


def test_there_is_a_violin_for_each_approach_with_its_median():
    values = made.dice()["best_dice"] | {"one": [0.5], "same": [0.2, 0.2], "none": [np.nan]}
    axes = dice_violins(values).axes[0]
    bodies = [one for one in axes.collections if one.get_label() == "violin"]
    assert len(bodies) == len(values) - 1
    assert [one.get_text() for one in axes.get_xticklabels()] == list(values)[:-1]
    dots = [one for one in axes.collections if one.get_label() == "median"]
    medians = [float(one.get_offsets()[0][1]) for one in dots]
    assert medians == pytest.approx([np.median(one) for one in list(values.values())[:-1]])


def test_boxes_hold_detections_and_lesions():
    image = np.ones((20, 24))
    detection, truth = np.zeros((2, 20, 24), bool)
    detection[3:6, 4:9], detection[6, 9] = True, True
    truth[10:12, 1:3] = True
    figure = box_rows([{"image": image, "detection": detection, "truth": truth}])

    def boxes(axes):
        found = [one for one in axes.patches if isinstance(one, Rectangle)]
        return [(*one.get_xy(), one.get_width(), one.get_height()) for one in found]

    own = (2.5, 3.5, 4, 6)
    assert [boxes(axes) for axes in figure.axes[:3]] == [[], [own], [own, (9.5, 0.5, 2, 2)]]


def test_stages_have_a_column_each():
    titles = [axes.get_title() for axes in stage_rows([row()]).axes]
    assert titles[:6] == [
        "input", "reconstruction", "anomaly map", "thresholded", "opened", "lesions",
    ]  # fmt: skip
