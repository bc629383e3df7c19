"""Models give colours, detectors lines; approaches are told apart and keep their looks."""

import itertools

import numpy as np
import pytest
from made_figures import APPROACHES, RECORDS, curves, record
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from normscan.figures.curves import froc_curves, pr_curves, roc_curves
from normscan.figures.looks import GROUPS, STEPS, looks, shade, with_plain


def difference(one: str, other: str) -> float:
    """How different two colours look (CIEDE2000; from 10 or so at a glance)."""
    return float(deltaE_ciede2000(*(rgb2lab([[to_rgb(colour)]])[0, 0] for colour in (one, other))))


def many() -> list[dict]:
    """45 approaches: 15 models of 8 groups under three detectors each."""
    groups = ["variational"] * 4 + ["adversarial"] * 3 + ["context"] * 2 + ["diffusion"] * 2
    groups += ["autoencoder", "mixture", "constrained", "density"]
    detectors = [("residual", "solid"), ("restoration", "dashed"), ("proximal", "dashed")]
    return [
        record(f"{group} {number} {detector}", f"m{number}", group, detector, line)
        for number, group in enumerate(groups)
        for detector, line in detectors
    ]


def test_an_approach_keeps_its_colour_whoever_stands_beside_it():
    assert [one["title"] for one in RECORDS] == [title for title, _ in APPROACHES.values()]
    alone = {one["title"]: looks([one])[one["title"]] for one in RECORDS}
    assert looks(RECORDS) == alone
    assert looks(reversed(RECORDS)) == alone


def test_what_is_added_at_the_end_changes_nothing():
    made = many()
    found = looks(made)
    for number in (1, 7, 20):
        assert looks(made[:number]).items() <= found.items()


def test_models_give_the_colour_and_detectors_the_line_and_the_marker():
    made = many()
    found = looks(made)
    for one, other in itertools.combinations(made, 2):
        first, second = found[one["title"]], found[other["title"]]
        assert (first.colour == second.colour) is (one["model"] == other["model"])
        same = one["detector"] == other["detector"]
        assert (first.line == second.line) is (first.marker == second.marker) is same


def test_forty_five_approaches_are_told_apart():
    found = looks(many())
    assert len(set(found.values())) == 45
    colours = {look.colour for look in found.values()}
    assert len(colours) == 15
    # Models of all groups at once; those that are nearest often differ in their lines as well.
    assert min(difference(*pair) for pair in itertools.combinations(colours, 2)) > 6


@pytest.mark.parametrize("group", sorted(set(GROUPS) - {"baseline"}))
def test_members_of_a_group_differ_at_a_glance(group):
    colours = [shade(GROUPS[group], step) for step in range(len(STEPS))]
    assert min(difference(*pair) for pair in itertools.combinations(colours[:4], 2)) > 9
    assert min(difference(*pair) for pair in itertools.combinations(colours, 2)) > 7


def test_the_same_model_and_detector_are_still_told_apart():
    shares = [record(f"VAE, {share} %", "vae", "variational") | {"name": "VAE"} for share in "1234"]
    found = looks(shares)
    assert len({found[one["title"]] for one in shares}) == 4
    # A figure over shares draws them as one.
    assert found["VAE"] == found["VAE, 1 %"]


def test_a_new_group_and_a_line_that_nobody_knows_have_a_look():
    one = record("new", "m", "a group of its own", line="wavy")
    assert looks([one])["new"].line == "-"
    assert looks([one, *RECORDS])["new"] == looks([one])["new"]


def test_names_without_a_look_are_plain_and_differ():
    names = [f"term {number}" for number in range(6)]
    found = with_plain(names, looks(RECORDS))
    assert len({found[name].colour for name in names}) == 6
    assert found["VAE"] == looks(RECORDS)["VAE"]


def test_figures_draw_the_looks_that_they_are_given():
    given = looks(RECORDS)
    lines = pr_curves(curves("pr"), looks=given).axes[0].get_lines()
    drawn = {line.get_label(): line for line in lines if line.get_label() in given}
    assert len(drawn) == 5
    for name, line in drawn.items():
        assert line.get_color() == given[name].colour and line.get_marker() == "None"


def test_many_curves_have_markers_and_a_legend_that_fits():
    steps = np.linspace(0, 1, 9)
    made = {one["title"]: (steps, 1 - steps, number) for number, one in enumerate(many())}
    given = looks(many())
    for draw in (
        pr_curves,
        roc_curves,
        lambda c, looks: froc_curves({n: c[n][:2] for n in c}, looks=looks),
    ):
        figure = draw(made, looks=given)
        lines = [line for line in figure.axes[-1].get_lines() if line.get_label() in given]
        assert {line.get_marker() for line in lines} == {look.marker for look in given.values()}
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1 and box.x1 <= figure.bbox.x1
