"""The scan that stands for a patient."""

import numpy as np
import pytest

from normscan.evaluation.examples import typical_scans


def test_patients_are_ordered_by_their_mean_and_shown_by_the_closest_scan():
    values = {"a1": 0.9, "a2": 0.1, "a3": 0.4, "b1": 0.8, "c1": 0.2, "c2": np.nan, "d1": np.nan}
    table = typical_scans(values, {scan: scan[0] for scan in values})
    assert table["subject"].tolist() == ["b", "a", "c"]
    assert table["scan"].tolist() == ["b1", "a3", "c1"]
    assert table["mean"].tolist() == pytest.approx([0.8, 1.4 / 3, 0.2])
    assert table["scans"].tolist() == [1, 3, 1]
    assert table["value"].tolist() == [0.8, 0.4, 0.2]


def test_ties_go_by_name_and_nothing_gives_no_patient():
    values = {"b1": 0.5, "a2": 0.6, "a1": 0.4}
    table = typical_scans(values, {scan: scan[0] for scan in values})
    assert table["subject"].tolist() == ["a", "b"] and table["scan"].iloc[0] == "a1"
    assert typical_scans({}, {}).empty
