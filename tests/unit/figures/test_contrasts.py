"""Contrasts against each other: every pair, and every pixel on its side."""

import numpy as np

from normscan.figures.contrasts import contrast_scatter
from normscan.figures.style import save_figure


def made():
    """Three contrasts (12, 10) with background, a lesion, and pixels that count on neither side."""
    random = np.random.default_rng(0)
    brain, lesion, ignored = np.zeros((3, 12, 10), bool)
    brain[2:10, 2:8] = True
    lesion[4:6, 3:5], ignored[7:9, 3:5] = True, True
    slices = {name: np.where(brain, random.normal(size=(12, 10)), 0) for name in ("a", "b", "c")}
    return slices, lesion, ignored, brain


def test_pixels_of_every_pair_are_drawn_as_what_they_are(tmp_path):
    slices, lesion, ignored, brain = made()
    figure = contrast_scatter(slices, lesion, ignored)
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in drawn[3:]] == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    normal, anomalous = drawn[4].collections
    for points, chosen in ((normal, brain & ~lesion & ~ignored), (anomalous, brain & lesion)):
        expected = np.stack([slices["a"][chosen], slices["c"][chosen]], axis=1)
        np.testing.assert_allclose(points.get_offsets(), expected)
    save_figure(figure, tmp_path / "drawn")
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_a_slice_without_lesion_is_drawn_too():
    slices, lesion, ignored, _ = made()
    figure = contrast_scatter(slices, np.zeros_like(lesion), ignored)
    assert len(figure.axes[3].collections[1].get_offsets()) == 0
