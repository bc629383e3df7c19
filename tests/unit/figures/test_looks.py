"""Models give colours, detectors lines; approaches are told apart and keep their looks."""

import itertools

import numpy as np
import pytest
from made_figures import APPROACHES, RECORDS, curves, record
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from normscan.figures.curves import froc_curves, pr_curves, roc_curves
from normscan.figures.looks import (
    GROUPS,
    MUTED,
    PALETTE,
    STEPS,
    Emphasis,
    Look,
    looks,
    shade,
    with_plain,
)
from normscan.figures.style import BLACK

# Machado et al. 2009, of linear RGB: everyone, and those who miss one kind of cones.
SEEN = {
    "all": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    """Linear RGB (3,) of a colour."""
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """How different two linear colours look (CIEDE2000; from 10 or so at a glance)."""
    seen = []
    for values in (one, other):
        values = np.clip(values, 0, 1)
        seen.append(
            np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)
        )
    return float(deltaE_ciede2000(*(rgb2lab([[values]])[0, 0] for values in seen)))


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


def test_models_of_different_groups_keep_the_colours_of_these():
    assert [one["title"] for one in RECORDS] == [title for title, _ in APPROACHES.values()]
    alone = {one["title"]: looks([one])[one["title"]] for one in RECORDS}
    assert looks(RECORDS) == alone
    assert looks(reversed(RECORDS)) == alone


def test_models_of_one_group_have_colours_and_no_shades():
    made = [record(f"VAE {number}", f"m{number}", "variational") for number in range(8)]
    colours = [looks(made)[one["title"]].colour for one in made]
    assert sorted(colours) == sorted(PALETTE)
    assert colours[0] == GROUPS["variational"]


@pytest.mark.parametrize("kind", SEEN)
def test_the_palette_is_told_apart_with_any_colour_vision(kind):
    for pair in itertools.combinations((*PALETTE, BLACK, MUTED), 2):
        assert difference(*(SEEN[kind] @ linear(colour) for colour in pair)) > 8, pair


def test_baselines_are_black_and_differ_in_their_lines():
    made = [record(name, "", "baseline", name) for name in ("intensity", "gradient")]
    first, second = looks(made).values()
    assert first.colour == second.colour == BLACK
    assert first.line != second.line and first.marker != second.marker


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
    assert min(difference(*map(linear, pair)) for pair in itertools.combinations(colours, 2)) > 6


@pytest.mark.parametrize("colour", PALETTE)
def test_a_colour_that_comes_again_is_another_shade(colour):
    shades = [shade(colour, step) for step in range(len(STEPS))]
    assert shades[0] == colour and len(set(shades)) == len(STEPS)
    assert difference(*map(linear, shades[:2])) > 9


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
        assert line.get_color() == given[name].colour and line.get_marker() == given[name].marker


def test_of_many_approaches_the_best_stand_out_with_the_baseline():
    worth = {f"a{number}": number / 20 for number in range(20)} | {"intensity": 0.0}
    given = {"intensity": Look(BLACK, "-", "o"), "a19": Look("#123456", "--", "s")}
    shown = Emphasis(worth, given)
    assert shown.top == [*(f"a{number}" for number in range(19, 11, -1)), "intensity"]
    assert shown.order()[-1] == "a19" and len(shown.others) == 12 and shown.lines == 10
    assert {shown.looks[name].colour for name in shown.others} == {MUTED}
    assert shown.looks["intensity"] == given["intensity"]
    # Not one of the palette: it gets a free one, and keeps its line.
    assert shown.looks["a19"].colour in PALETTE and shown.looks["a19"].line == "--"
    assert shown.label("a19", "a19 (0.95)") == "a19 (0.95)" and shown.label("a3") == "12 others"


def test_few_approaches_all_stand_out_whatever_they_are_worth():
    shown = Emphasis({"a": np.nan, **{f"b{number}": 0.1 for number in range(8)}})
    assert not shown.others and shown.top[-1] == "a"


def test_many_curves_have_colours_for_the_best_and_a_legend_that_fits():
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
        assert len(lines) == 8 and "None" not in {line.get_marker() for line in lines}
        assert len({(line.get_color(), line.get_marker()) for line in lines}) == 8
        quiet = [line for line in figure.axes[-1].get_lines() if line.get_color() == MUTED]
        assert len(quiet) == len(made) - 8
        said = [text.get_text() for text in figure.legends[0].get_texts()]
        assert len(said) == 9 and said[-1] == f"{len(quiet)} others"
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1 and box.x1 <= figure.bbox.x1
