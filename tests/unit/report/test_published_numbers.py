"""The published tables, against values read in the paper."""

import pytest

from normscan.errors import NormscanError
from normscan.evaluation.published import load_published


def test_tables_are_complete():
    table = load_published()
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
    table = load_published(dataset=dataset).set_index("approach")
    assert table.loc[approach, column] == value


def test_unknown_names_list_what_there_is():
    with pytest.raises(NormscanError, match="there are: MS, GB, MSLUB, MSSEG2015"):
        load_published(dataset="IXI")
    with pytest.raises(NormscanError, match="baur2021"):
        load_published("nobody2020")
