"""Figures of classes of lesions: they show what they are given."""

import made_figures as made
import numpy as np
import pytest
from matplotlib.colors import same_color

from normscan.figures.class_curves import class_roc
from normscan.figures.classes import class_slices, shade
from normscan.figures.dice import dice_distributions
from normscan.figures.style import save_figure

NAMES = ["tumour", "cavity"]


def row(label="tumour", seed=1):
    found = made.slice_row(label, seed)
    truth = found.pop("truth") > 0
    half = np.arange(truth.shape[0])[:, None] < truth.shape[0] // 2
    return {**found, "classes": np.stack([truth & half, truth & ~half], axis=-1)}


def curves(approaches: int) -> dict:
    fpr = np.linspace(0, 1, 50)
    return {
        name: {
            f"approach {k}": (fpr, fpr ** (0.2 + 0.1 * k), np.full(50, 0.3), 0.9 - 0.1 * k)
            for k in range(approaches)
        }
        for name in NAMES
    }


FIGURES = {
    "curves": lambda: class_roc(curves(2), {"tumour": 7, "cavity": 1}, title="x"),
    "slices": lambda: class_slices([row(), row("cavity", 2)], NAMES, title="IntroVAE"),
    "boxes": lambda: dice_distributions(
        {name: {"a": np.array([0.7, 0.9]), "b": np.array([0.6])} for name in NAMES},
        measure="AUROC",
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_and_repeat_byte_by_byte(name, tmp_path):
    first, again = (save_figure(FIGURES[name](), tmp_path / part) for part in ("a", "b"))
    for one, other in zip(first, again):
        assert one.stat().st_size > 1000
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(("approaches", "bands"), [(2, 2), (4, 0)])
def test_a_panel_for_each_class_with_its_patients_and_areas(approaches, bands):
    figure = class_roc(curves(approaches), {"tumour": 7, "cavity": 1})
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["tumour (n = 7)", "cavity (n = 1)"]
    for axes in panels:
        said = [text.get_text() for text in axes.get_legend().get_texts()]
        assert said == [f"approach {k} ({0.9 - 0.1 * k:.2f})" for k in range(approaches)]
        assert len(axes.collections) == bands
        for band in axes.collections:
            heights = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
            assert heights.min() >= 0 and heights.max() <= 1


def test_labels_have_the_colours_of_their_classes_and_a_legend():
    only = row()
    only["classes"][..., 0] = False
    figure = class_slices([row(), only], NAMES)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == ["input", "reconstruction", "anomaly map", "labels"]
    both, second = figure.axes[3], figure.axes[7]

    def drawn(axes):
        return {
            name
            for k, name in enumerate(NAMES)
            for one in axes.collections
            for colour in one.get_edgecolor()
            if same_color(colour, shade(k))
        }

    assert drawn(both) == set(NAMES) and drawn(second) == {"cavity"}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == NAMES


def test_boxes_say_what_they_are_of():
    figure = FIGURES["boxes"]()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == NAMES
    assert {axes.get_xlabel() for axes in panels} == {"AUROC"}
