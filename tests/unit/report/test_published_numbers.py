"""The published tables, against values read in the paper."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from normscan.errors import NormscanError
from normscan.evaluation.compared import Compared
from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.published import (
    SEEDS,
    about_published,
    load_published,
    published_studies,
)
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
        about, table = about_published(study), load_published(study)
        assert set(about) == {"name", "tables", "measures"}
        assert study in known and study[-4:] in about["name"]
        named = [
            one[key] for one in about["measures"] for key in ("column", "spread") if key in one
        ]
        assert set(table.columns) == {"dataset", "approach", *named, "source"}
        assert len({one["label"] for one in about["measures"]}) == len(about["measures"])
        assert not table.duplicated(["dataset", "approach"]).any()


def test_a_study_without_numbers_gives_tables_without_rows():
    ranks, beside = published(Figures(Path("nowhere")), Compared(METRICS, "p", []), "nobody2020")
    assert not len(ranks) and list(beside.columns) == ["approach", "measure"]


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
    table = beside[beside["measure"] == "AUPRC"].set_index("approach")
    assert table.loc["VAE", "published: MS"] == 0.399 and table.loc["VAE", "this run: ms"] == 0.4
    assert np.isnan(table.loc["mine", "published: MS"])
    assert titled == ["Published AUPRC (Baur et al. 2021) against this run's"]


@pytest.mark.parametrize(
    ("study", "dataset", "approach", "column", "value"),
    [
        ("you2019", "BRATS", "GMVAE (TV)", "auc", 0.83),
        ("you2019", "BRATS", "GMVAE (TV)", "dsc5_mean", 0.46),
        ("you2019", "BRATS", "VAE (TV)", "dsc1_std", 0.20),
        ("you2019", "BRATS", "AnoGAN", "fpr", 0.33),
        ("you2019", "BRATS", "GMVAE (TV), 12 clusters", "dsc10_mean", 0.33),
        ("kobayashi2021", "Postoperative cavity", "IntroVAE+LatSearch", "auroc_mean", 0.91),
        ("kobayashi2021", "Metastatic brain tumor", "VAE", "f1_std", 0.024),
        ("kobayashi2021", "Extracranial metastatic tumor", "IntroVAE", "specificity_mean", 0.81),
        ("kobayashi2021", "Structural change, NOS", "IntroVAE", "auroc_std", 0.35),
        ("chatterjee2022", "BraTS T1w", "StRegA", "dice_mean", 0.531),
        ("chatterjee2022", "BraTS T2w", "ceVAE (with StRegA preprocessing)", "dice_std", 0.135),
        ("chatterjee2022", "MOOD toy, T2w", "GMVAE", "dice_mean", 0.699),
        ("chatterjee2022", "synthetic, T1w", "SkipAE", "dice_std", 0.164),
        ("kim2021", "BraTS test", "ADM", "auc", 0.939),
        ("kim2021", "BraTS validation", "DAGc", "precision_std", 0.062),
        ("kim2021", "ISLES test", "fanoGAN", "f1", 0.192),
        ("kim2021", "ISLES validation", "DSVDD", "recall", 0.520),
        ("kim2021", "BraTS test", "ADM_dr", "precision", 0.771),
        ("kim2021", "ISLES test", "ADM_woj", "auc", 0.847),
        ("kim2021", "ISLES test", "ADM, λ = 5e-3", "auc", 0.871),
        ("kim2021", "BraTS test", "ADM, 4 Gaussians", "auc", 0.931),
        ("kim2021", "BraTS test", "ADM wo S1 and S2", "auc", 0.805),
    ],
)
def test_values_of_the_other_papers(study, dataset, approach, column, value):
    table = load_published(study, dataset=dataset).set_index("approach")
    assert table.loc[approach, column] == value


def test_numbers_of_classes_stand_beside_each_class_of_the_run():
    titles = ["VAE", "IntroVAE", "IntroVAE+LatSearch"]
    made = [{"variant": title, "title": title, "name": title, "share": 100} for title in titles]
    rows = [
        ["mets", f"p/{title}", 0, "test", "cohort", None, None, rule, metric, value]
        for value, title in enumerate(titles, 1)
        for rule, metric in (("none", "cavity:auroc_mean"), ("oracle", "tumour:f1_mean"),
                             ("none", "tumour:auroc_mean"), ("none", "tumour:auroc_std"))
    ]  # fmt: skip
    of = Compared(pandas.DataFrame(rows, columns=COLUMNS), "p", made)
    ranks, beside = published(SimpleNamespace(looks={}, add=lambda *_: None), of, "kobayashi2021")
    assert set(ranks["cohort"]) == {"mets, cavity", "mets, tumour"}
    own = ranks[ranks["published data set"] == "Structural change, NOS"]
    assert own["rank correlation"].tolist() == pytest.approx([-0.5, -0.5])
    row = beside[(beside["measure"] == "AUROC") & (beside["approach"] == "IntroVAE")].iloc[0]
    assert row["this run: mets, tumour"] == row["this run: mets, tumour (std)"] == 2
    assert row["published: Metastatic brain tumor"] == 0.76
    row = beside[(beside["measure"] == "F1 (oracle)") & (beside["approach"] == "VAE")].iloc[0]
    assert row["this run: mets, tumour"] == 1 and np.isnan(row["this run: mets, cavity"])


def test_what_a_paper_does_not_give_is_missing():
    row = load_published("you2019").set_index("approach").loc["VAE-256"]
    assert row["auc"] == 0.67 and row[["dsc_auc_mean", "dsc1_mean", "dsc10_std"]].isna().all()


def made_run(study, values):
    """A run of approaches called as here, published as there: (title, published, value)."""
    made = [
        {"variant": title, "title": title, "name": title, "share": 100, "published": name}
        for title, name, _ in values
    ]
    rows = []
    for measure in about_published(study)["measures"]:
        rule = "best_dice" if measure["rule"] == "primary" else measure["rule"]
        # A measure of classes is one of each class: here there is one.
        of_class = "tumour:" if measure.get("per_class") else ""
        for title, _, value in values:
            start = ["brats", f"p/{title}", 0, "test", "cohort", None, None, rule]
            metric = of_class + measure["metric"]
            rows.append([*start, metric, value])
            if measure.get("metric_spread") == SEEDS:
                # Two trainings more, around the value: their standard deviation is half of it.
                rows += [
                    [*start[:2], n, *start[3:], metric, v]
                    for n, v in enumerate((0.5 * value, 1.5 * value), 1)
                ]
            elif "metric_spread" in measure:
                rows.append([*start, of_class + measure["metric_spread"], value / 2])
            rows.append(["brats", f"p/{title}", 0, "validation", *start[4:], metric, 9.0])
    return Compared(pandas.DataFrame(rows, columns=COLUMNS), "p", made)


@pytest.mark.parametrize("study", published_studies())
def test_every_measure_of_every_study_is_compared_with_the_metric_it_names(study):
    names = list(dict.fromkeys(load_published(study)["approach"]))[:4]
    of = made_run(study, [(f"ours {name}", name, 0.1 * n) for n, name in enumerate(names, 1)])
    titled = []
    figures = SimpleNamespace(looks={}, add=lambda figure, *words: titled.append(words[2]))
    ranks, beside = published(figures, of, study, "best_dice")
    about, table = about_published(study), load_published(study)
    assert len(beside) == len(names) * len(about["measures"]) and len(titled) == 1
    assert set(ranks["measure"]) == {about["measures"][0]["label"]}
    assert (ranks["approaches"] == len(names)).all()
    for measure in about["measures"]:
        ours = "this run: brats" + (", tumour" if measure.get("per_class") else "")
        rows = beside[beside["measure"] == measure["label"]].set_index("approach")
        assert rows.loc[f"ours {names[2]}", ours] == pytest.approx(0.3)
        dataset = table["dataset"].iloc[0]
        there = table[table["dataset"] == dataset].set_index("approach")
        for name in names:
            found = rows.loc[f"ours {name}", f"published: {dataset}"]
            assert found == there.loc[name, measure["column"]] or np.isnan(found)
            if "spread" in measure:
                found = rows.loc[f"ours {name}", f"published: {dataset} (std)"]
                assert found == there.loc[name, measure["spread"]] or np.isnan(found)
                assert rows.loc[f"ours {names[2]}", f"{ours} (std)"] == pytest.approx(0.15)


def test_approaches_without_a_published_name_go_by_their_title():
    of = made_run("you2019", [("AnoGAN", "", 0.2), ("mine", "nothing like it", 0.4)])
    _, beside = published(Figures(Path("nowhere")), of, "you2019")
    auc = beside[beside["measure"] == "AUC"].set_index("approach")["published: BRATS"]
    assert auc["AnoGAN"] == 0.65 and np.isnan(auc["mine"])
