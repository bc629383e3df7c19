"""Detections at every threshold: which patients, which rows, and what is drawn."""

import numpy as np
import pandas
import pytest
from made_figures import slice_row

from normscan.evaluation import found
from normscan.evaluation.metrics import COLUMNS
from normscan.figures import panels
from normscan.figures.collection import Figures
from normscan.figures.columns import patient_columns
from normscan.figures.panels import add_panels, chosen_patients, first_of_kinds
from normscan.figures.style import save_figure

RULES = {"healthy_fpr_0.01": "1 %", "healthy_fpr_0.05": "5 % false positives on healthy voxels"}


def column(label, seed):
    row = slice_row(label, seed)
    del row["detection"]
    limits = zip(RULES, (0.2, 0.1))
    return row | {"detections": {rule: row["map"] > limit for rule, limit in limits}}


def drawn():
    return patient_columns(
        [column("sub-1", 0), column("sub-2", 1)], RULES, reconstruction="restored", title="GMVAE"
    )


def test_a_column_per_patient_and_a_row_per_threshold(tmp_path):
    figure = drawn()
    tiles = [axes for axes in figure.axes if axes.get_images()]
    assert len([axes for axes in tiles if axes.get_label() != "<colorbar>"]) == 2 * 6
    labels = [axes.get_ylabel().replace("\n", " ") for axes in figure.axes if axes.get_ylabel()]
    assert labels[:6] == ["input", "restored", "anomaly map", *RULES.values(), "lesions"]
    first, again = (save_figure(drawn(), tmp_path / part) for part in ("a", "b"))
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(first, again))


def test_of_a_sweep_the_first_approach_is_shown():
    made = [("vae", "restoration"), ("vae", "restoration"), ("vae", "montecarlo"), ("ae", "a")]
    records = [{"model": m, "detector": d, "n": n} for n, (m, d) in enumerate(made)]
    assert [one["n"] for one in first_of_kinds(records)] == [0, 2, 3]


def metrics(volumes, seed=0):
    rows = [
        ["ms", "GMVAE", seed, "test", "scan", scan[:1], scan, rule, "lesion_volume_ml", value]
        for scan, value in volumes.items()
        for rule in RULES
    ]
    rows.append(
        ["ms", "GMVAE", seed, "test", "cohort", None, None, "oracle", "youden_threshold", 0.31]
    )
    return pandas.DataFrame(rows, columns=COLUMNS).assign(title="GMVAE")


def test_patients_are_spread_by_the_volume_of_their_lesions():
    volumes = {f"{name}1": float(n) for n, name in enumerate("abcdefghijklm")}
    volumes["m2"] = 12.0
    found = chosen_patients(metrics(volumes), dict.fromkeys(volumes))
    assert found == ["m1", "k1", "i1", "g1", "e1", "c1", "a1"]
    assert chosen_patients(metrics(volumes), {}) == []


class Made:
    """Stands for what was found in a shard."""

    scans, points, scores_voxels = ["a1", "b1"], dict(zip(RULES, (0.25, 0.1))), True

    def __init__(self, path):
        row = slice_row("", 0)
        self.volumes = {key: row[key][..., None] for key in ("image", "reconstruction", "map")}
        self.lesion = row["truth"][..., None] if "truth" in row else row["map"][..., None] > 0.2

    def is_of(self, approach):
        return approach["variant"] == "gmvae"

    def truth(self, scan, labels):
        return self.lesion, np.zeros_like(self.lesion)

    def slices(self, scan, z):
        return {key: one[:, :, z] for key, one in self.volumes.items()}

    def detected_at(self, scan, threshold):
        return self.volumes["map"] > threshold


@pytest.mark.parametrize(("variant", "figures"), [("gmvae", 1), ("vae", 0)])
def test_the_optimistic_threshold_is_a_row_and_marked_as_such(
    monkeypatch, tmp_path, variant, figures
):
    monkeypatch.setattr(found, "Found", Made)
    done, drawn = [], []
    monkeypatch.setattr(
        panels, "patient_columns", lambda columns, rules, **_: drawn.append((columns, rules))
    )
    kept = Figures(tmp_path, orientation="radiological")
    monkeypatch.setattr(kept, "add", lambda figure, *words: done.append(words))
    one = {"title": "GMVAE", "variant": variant, "seed": 0, "expected": "restored"}
    add_panels(kept, "ms", ["x"], one, metrics({"a1": 1.0, "b1": 2.0}), [])
    assert len(done) == len(drawn) == figures
    assert all("left is on the right" in words[-1] for words in done)
    for columns, rules in drawn:
        assert list(rules) == [*RULES, "oracle:youden"]
        assert "oracle" in rules["oracle:youden"] and len(columns) == 2
        sizes = [mask.sum() for mask in columns[0]["detections"].values()]
        assert sizes[2] < sizes[0] < sizes[1]
