"""Saved figures are the same bytes every time; names in words."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from made_figures import curves, slice_row

from normscan.figures.curves import pr_curves
from normscan.figures.labels import metric_label, rule_label
from normscan.figures.slices import slice_rows
from normscan.figures.style import save_figure

DRAW = """
import sys
sys.path[:0] = {paths!r}
from made_figures import curves, slice_row
from normscan.figures.curves import pr_curves
from normscan.figures.slices import slice_rows
from normscan.figures.style import save_figure
save_figure(pr_curves(curves("pr"), prevalence=0.02), {folder!r} + "/pr")
save_figure(slice_rows([slice_row("a", 1)]), {folder!r} + "/rows")
"""


def digests(folder: Path) -> dict:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*")}


def test_repeated_figures_are_byte_identical_within_and_across_processes(tmp_path):
    for folder in ("first", "second"):
        save_figure(pr_curves(curves("pr"), prevalence=0.02), tmp_path / folder / "pr")
        save_figure(slice_rows([slice_row("a", 1)]), tmp_path / folder / "rows")
    (tmp_path / "third").mkdir()
    script = DRAW.format(paths=sys.path, folder=str(tmp_path / "third"))
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    first = digests(tmp_path / "first")
    assert set(first) == {"pr.png", "pr.svg", "rows.png", "rows.svg"}
    assert first == digests(tmp_path / "second") == digests(tmp_path / "third")


def test_saved_figures_carry_no_time_and_no_program_version(tmp_path):
    png, svg = save_figure(pr_curves(curves("pr")), tmp_path / "with.dots" / "pr")
    assert png == tmp_path / "with.dots" / "pr.png"
    text = svg.read_text()
    assert "dc:date" not in text and "Matplotlib v" not in text
    assert b"Software" not in png.read_bytes()


def test_stem_with_a_dot_keeps_its_name(tmp_path):
    png, svg = save_figure(pr_curves(curves("pr")), tmp_path / "fpr-0.01")
    assert (png.name, svg.name) == ("fpr-0.01.png", "fpr-0.01.svg")


def test_drawing_leaves_global_settings_alone():
    before = dict(matplotlib.rcParams)
    pr_curves(curves("pr"))
    assert dict(matplotlib.rcParams) == before


def test_names_in_words():
    assert rule_label("oracle") == "best possible (oracle)"
    assert rule_label("healthy_percentile_98") == "98th percentile of healthy residuals"
    assert rule_label("healthy_fpr_0.05") == "5 % false positives on healthy voxels"
    assert rule_label("best_dice") == "best Dice on validation patients"
    assert rule_label("my_rule") == "my rule"
    assert "no labels" in rule_label("best_synthetic")
    assert (
        rule_label("conformal_0.05") == "at most 5 % false positives promised on new healthy scans"
    )
    assert rule_label("conformal_0.05_0.1").endswith("in all but 10 % of new healthy subjects")
    assert rule_label("oracle:best_dice") == (
        "best Dice on validation patients (oracle: chosen on these scans)"
    )
    assert metric_label("auprc") == "AUPRC"
    assert "oracle" in metric_label("best_dice")
    assert metric_label("something_new") == "something new"


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_curves_without_area_are_drawn(value):
    steps = np.linspace(0, 1, 5)
    assert pr_curves({"a": (steps, steps, value), "b": (steps, steps, 0.5)}).axes
