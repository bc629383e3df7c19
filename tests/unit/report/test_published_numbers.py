"""The published tables, against values read in the paper."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from normscan.errors import NormscanError
from normscan.evaluation.compared import Compared
from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.published import about_published, load_published, published_studies
from normscan.figures.against_published import published
from normscan.figures.collection import Figures
from normscan.files import read_json
from normscan.report.citations import REFERENCES

METRICS = pandas.DataFrame(columns=COLUMNS)


def test_tables_are_complete():
    table = load_published("baur2021")
    assert table.groupby("dataset").size().to_dict() == {
        "GB": 17, "MS": 17, "MSLUB": 17, "MSSEG2015": 17,
    }  # fmt: skip
    assert not table.isna().any().any()
    shares = ["auroc", "auprc", "best_dice", "dice_mean", "dice_std", "chi_square"]
    assert table[shares].min().min() > 0 and table[shares].max().max() < 1
    assert (table["l1_anomalous_mean"] > table["l1_normal_mean"]).all()


@pytest.mark.parametrize(
    ("dataset", "approach", "column", "value"),
    [
        ("MS", "VAE (restoration)", "auprc", 0.454),
        ("MS", "f-AnoGAN", "l1_normal_mean", 2.05e-9),
        ("GB", "VAE (restoration)", "best_dice", 0.537),
        ("GB", "AE (spatial)", "chi_square", 4.08e-2),
        ("MSLUB", "Context VAE (gradient)", "auroc", 0.889),
        ("MSLUB", "Bayesian VAE", "dice_std", 0.206),
        ("MSSEG2015", "f-AnoGAN", "dice_mean", 0.278),
        ("MSSEG2015", "Constrained AAE", "l1_anomalous_std", 1.24e-4),
    ],
)
def test_values_of_the_paper(dataset, approach, column, value):
    table = load_published("baur2021", dataset=dataset).set_index("approach")
    assert table.loc[approach, column] == value


def test_unknown_names_list_what_there_is():
    with pytest.raises(NormscanError, match="there are: MS, GB, MSLUB, MSSEG2015"):
        load_published("baur2021", dataset="IXI")
    with pytest.raises(NormscanError, match="baur2021"):
        load_published("nobody2020")


def test_every_study_with_numbers_has_a_name_and_a_reference():
    known = read_json(REFERENCES)
    for study in published_studies():
        assert set(about_published(study)) == {"name", "tables"}
        assert study in known and study[-4:] in about_published(study)["name"]
        assert {"dataset", "approach", "auprc"} <= set(load_published(study).columns)


def test_a_study_without_numbers_gives_tables_without_rows():
    ranks, beside = published(Figures(Path("nowhere")), Compared(METRICS, "p", []), "nobody2020")
    assert not len(ranks) and list(beside.columns) == ["approach"]


def test_numbers_stand_beside_those_of_the_run_and_are_ranked():
    """Four approaches of the study in another order than published: rho 0.8."""
    titles = ["AE (dense)", "AE (spatial)", "VAE", "VAE (restoration)", "mine"]
    made = [{"variant": title, "title": title, "name": title, "share": 100} for title in titles]
    rows = [
        ["ms", f"p/{title}", 0, "test", "cohort", None, None, "none", "auprc", value]
        for title, value in zip(titles, (0.2, 0.3, 0.4, 0.5, 0.6))
    ]
    titled = []
    figures = SimpleNamespace(looks={}, add=lambda figure, *words: titled.append(words[2]))
    of = Compared(pandas.DataFrame(rows, columns=COLUMNS), "p", made)
    ranks, beside = published(figures, of, "baur2021")
    own = ranks[ranks["published data set"] == "MS"].iloc[0]
    assert own["approaches"] == 4 and own["rank correlation"] == pytest.approx(0.8)
    table = beside.set_index("approach")
    assert table.loc["VAE", "published: MS"] == 0.399 and table.loc["VAE", "this run: ms"] == 0.4
    assert np.isnan(table.loc["mine", "published: MS"])
    assert titled == ["Published AUPRC (Baur et al. 2021) against this run's"]
