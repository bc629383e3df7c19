"""Sweeps: approaches that differ in one number, found in settings, as tables and figures."""

from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from normscan.evaluation.compared import Compared
from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.sweeps import find_sweeps, sweep_table, tuning_table
from normscan.figures import study
from normscan.figures.style import save_figure
from normscan.figures.sweeps import add_sweeps, add_tuning, main_measure


def restoring(tv_weight, steps=500, clusters=9, **others):
    return {
        "detector": "restoration", "tv_weight": tv_weight, "steps": steps,
        "model.family": "gmvae", "model.clusters": clusters, **others,
    }  # fmt: skip


SETTINGS = {
    "GMVAE": restoring("auto"),
    "GMVAE, λ = 0.6": restoring(0.6),
    "GMVAE, λ = 1.8": restoring(1.8),
    "GMVAE, λ = 3": restoring(3),
    "GMVAE, 100 steps": restoring(1.8, steps=100),
    "GMVAE, 300 steps": restoring(1.8, steps=300),
    "GMVAE, 3 clusters": restoring("auto", clusters=3),
    "GMVAE, 12 clusters": restoring("auto", clusters=12),
    "other, λ = 0.6": restoring(0.6, seen=True),
    "other, λ = 1.8": restoring(1.8, seen=True),
}


def test_sweeps_are_the_approaches_that_differ_in_one_number_alone():
    found = {one.setting: one for one in find_sweeps(SETTINGS)}
    assert set(found) == {"tv_weight", "steps", "model.clusters"}
    assert found["tv_weight"].titles == {
        0.6: "GMVAE, λ = 0.6", 1.8: "GMVAE, λ = 1.8", 3: "GMVAE, λ = 3",
    }  # fmt: skip
    assert found["tv_weight"].name == "GMVAE, λ"
    assert list(found["steps"].titles) == [100, 300, 500]
    assert list(found["model.clusters"].titles) == [3, 9, 12]
    assert found["model.clusters"].titles[9] == "GMVAE"


def test_two_values_switches_and_words_are_no_sweep():
    settings = {
        f"{number} {flag} {word}": {"number": number, "flag": flag, "word": word}
        for number in (1, 2)
        for flag in (False, True)
        for word in "abc"
    }
    assert find_sweeps(settings) == []


def made_run():
    made, rows = [], []
    for number, title in enumerate(SETTINGS):
        variant = f"v{number}"
        entry = {"variant": variant, "title": title, "name": title, "share": 100}
        made.append({**entry, "settings": SETTINGS[title]})
        for seed in (0, 1):
            start = ["brats", f"p/{variant}", seed, "test", "cohort", None, None, "none"]
            rows += [[*start, "auroc", number / 10 + seed / 100], [*start, "auprc", 0.5]]
            rows.append([*start[:3], "validation", *start[4:], "auroc", 9.0])
    return Compared(pandas.DataFrame(rows, columns=COLUMNS), "p", made)


class Kept:
    """Keeps what would be drawn."""

    def __init__(self):
        self.looks, self.done = {}, []

    def add(self, figure, name, section, title, caption):
        self.done.append((figure, name, title))


def test_the_table_has_the_mean_over_seeds_of_every_value():
    of = made_run()
    table = sweep_table(of, find_sweeps(SETTINGS), "auroc", "none")
    own = table[table["setting"] == "steps"].set_index("value")
    assert own["mean"].to_dict() == pytest.approx({100: 0.405, 300: 0.505, 500: 0.205})
    assert own["std"].to_numpy() == pytest.approx(np.std([0, 0.01], ddof=1))


@pytest.mark.parametrize(
    ("cited", "label"), [("you2019", "AUC"), ("baur2021", "AUPRC"), ("nobody", "AUPRC")]
)
def test_a_figure_per_setting_shows_the_main_measure_of_the_cited_study(cited, label, tmp_path):
    figures = Kept()
    table = add_sweeps(figures, made_run(), cited)
    assert [name for _, name, _ in figures.done] == [
        "sweep_tv_weight", "sweep_steps", "sweep_model_clusters",
    ]  # fmt: skip
    figure, _, title = figures.done[0]
    assert title == f"{label} against weight of the total variation, λ"
    (axes,) = figure.axes
    x, y = next(one for one in axes.lines if one.get_linestyle() != "None").get_data()
    assert x.tolist() == [0.6, 1.8, 3] and axes.get_ylabel() == label
    own = table[table["setting"] == "tv_weight"]
    np.testing.assert_allclose(np.asarray(y, float), own["mean"])
    assert axes.get_xscale() == "linear"
    assert save_figure(figure, tmp_path / "a")[0].stat().st_size > 1000


def test_the_main_measure_may_be_under_the_primary_rule():
    assert main_measure("chatterjee2022", "otsu")["rule"] == "otsu"


def tuned(weight=1.8, how="interior minimum"):
    values = {0.6: 0.02, 1.8: 0.01, 3.6: None}
    return {
        "settings": {"tv_weight": weight}, "how": how, "reason": "", "criterion": "mean_change",
        "table": [{"tv_weight": one, "mean_change": value} for one, value in values.items()],
    }  # fmt: skip


def test_what_was_tried_on_healthy_scans_is_drawn_and_the_choice_marked():
    figures = Kept()
    table = add_tuning(figures, ["GMVAE", "VAE"], [tuned(), tuned(0.6)])
    assert len(table) == 6 and table["result"].isna().sum() == 2
    assert table[table["chosen"]]["value"].tolist() == [1.8, 0.6]
    ((figure, name, title),) = figures.done
    assert name == "tuning_tv_weight_mean_change"
    assert (
        title == "mean absolute change of healthy slices against weight of the total variation, λ"
    )
    rings = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines[1::2]]
    assert sorted(rings) == [[0.6, 0.02], [1.8, 0.01]]


def test_settings_that_were_found_one_by_one_stand_in_the_table_and_are_not_drawn():
    record = {
        "settings": {"threshold": 6.3, "score_threshold": 7.2}, "how": "quantile", "reason": "",
        "criterion": "quantile",
        "table": [{"threshold": 6.3, "quantile": 0.98}, {"score_threshold": 7.2, "quantile": 0.99}],
    }  # fmt: skip
    figures = Kept()
    table = add_tuning(figures, ["VQ-VAE", "VAE"], [record, tuned()])
    own = table[table["approach"] == "VQ-VAE"]
    assert own[["setting", "value", "result"]].to_numpy().tolist() == [
        ["threshold", 6.3, 0.98],
        ["score_threshold", 7.2, 0.99],
    ]
    assert own["chosen"].all()
    assert [name for _, name, _ in figures.done] == ["tuning_tv_weight_mean_change"]


def test_nothing_tuned_and_nothing_swept_is_nothing_drawn():
    figures = Kept()
    assert not len(add_tuning(figures, [], []))
    of = Compared(pandas.DataFrame(columns=COLUMNS), "p", [])
    assert not len(add_sweeps(figures, of, "you2019")) and figures.done == []
    assert list(tuning_table({}).columns)[0] == "approach"


def test_lines_of_settings_repeat_byte_by_byte(tmp_path):
    def draw():
        line = {0.6: (0.7, 0.1), 1.8: (0.8, float("nan"))}
        return study.setting_lines({"ms": {"GMVAE": line}}, across="λ", label="AUC")

    first, again = (save_figure(draw(), tmp_path / part) for part in ("a", "b"))
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(first, again))
    assert SimpleNamespace(figure=draw()).figure.axes[0].get_ylim()[0] == 0
