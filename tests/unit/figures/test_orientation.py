"""Left and right: pictures turn as the setting says, marks and captions with them."""

import made_figures as made
import numpy as np
import pytest
from matplotlib.text import Text

from normscan.figures.boxes import box_rows, stage_rows
from normscan.figures.classes import class_slices
from normscan.figures.collection import Figures
from normscan.figures.columns import patient_columns
from normscan.figures.contrasts import contrast_scatter
from normscan.figures.fidelity import fidelity_rows
from normscan.figures.orientation import sides_of, words
from normscan.figures.slices import approach_rows, slice_rows

ROW = made.slice_row("a", 1)
MASK = np.asarray(ROW["truth"]) > 0
FIGURES = {
    "rows": lambda **o: slice_rows([ROW], **o),
    "approaches": lambda **o: approach_rows(ROW["image"], {"VAE": ROW}, truth=ROW["truth"], **o),
    "columns": lambda **o: patient_columns([{**ROW, "detections": {"r": MASK}}], {"r": "r"}, **o),
    "boxes": lambda **o: box_rows([ROW], **o),
    "stages": lambda **o: stage_rows([{**ROW, "thresholded": MASK}], **o),
    "classes": lambda **o: class_slices([{**ROW, "classes": MASK[..., None]}], ["core"], **o),
    "fidelity": lambda **o: fidelity_rows(
        {"input": ROW["image"]}, ROW["image"][None], MASK[None].astype(int), ["csf"], **o
    ),
    "contrasts": lambda **o: contrast_scatter(
        {"T1w": ROW["image"], "FLAIR": ROW["image"]}, MASK, ~MASK & False, **o
    ),
}


def panels(figure):
    """Axes with a slice in them: no bar of colours, no scatter."""
    shape = ROW["image"].T.shape
    return [
        axes
        for axes in figure.axes
        if axes.get_images() and min(axes.get_images()[0].get_array().shape[:2]) > min(shape) // 3
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_slices_turn_and_nothing_else_does(name):
    usual, turned = FIGURES[name](), FIGURES[name](orientation="radiological")
    assert panels(usual) and not any(axes.xaxis_inverted() for axes in panels(usual))
    assert all(axes.xaxis_inverted() for axes in panels(turned))
    assert not any(axes.yaxis_inverted() for axes in panels(turned))
    others = set(turned.axes) - set(panels(turned))
    assert not any(axes.xaxis_inverted() for axes in others if axes.get_visible() and axes.lines)


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"contrasts"}))
def test_the_marks_say_which_side_is_which(name):
    for orientation in ("neurological", "radiological"):
        figure = FIGURES[name](orientation=orientation)
        marks = {
            text.get_text(): text.get_position()[0]
            for text in figure.findobj(Text)
            if text.get_text() in ("L", "R")
        }
        left, right = sorted(marks, key=lambda side: marks[side])
        assert (left, right) == sides_of(orientation)


def test_what_lies_to_the_patients_right_is_drawn_on_the_left():
    image = np.zeros((8, 6))
    image[7, 3] = 1.0  # far to the right
    figure = slice_rows([{"label": "a", "image": image}], crop=False, orientation="radiological")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    place = axes.transData.transform((7, 3))[0]
    box = axes.get_window_extent()
    assert place < box.x0 + box.width / 4


def test_captions_name_the_side(tmp_path):
    assert Figures(tmp_path).sides == words("neurological")
    assert words("neurological") == "The patient's left is on the left (neurological)."
    turned = Figures(tmp_path, orientation="radiological")
    assert turned.sides == "The patient's left is on the right (radiological)."
