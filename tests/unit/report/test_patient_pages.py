"""Pages of test patients: scores from the metrics, the slices that tell most, the truth."""

import html
import json
import re

import made_content
import made_viewer
import numpy as np
import pandas
import pytest
from handed_on import run
from linked import Page, dead_links

from normscan.evaluation.segmentation import segmentation_scores
from normscan.files import read_json, read_tsv, write_json, write_tsv
from normscan.report import patients
from normscan.report.boards import leaderboard_sections
from normscan.report.patients import Approach, Cohort, outcome, telling_slices
from normscan.report.report import build_report

SCAN, RULE = made_viewer.SCAN, "best_dice"


def metric_rows(values: dict, scan: str = SCAN, split: str = "test") -> list[dict]:
    base = {"cohort": "wmh", "approach": "p/vae", "seed": 0, "split": split, "subject": "1"}
    return [
        {**base, "level": "scan", "scan": scan, "threshold_rule": RULE, "metric": m, "value": v}
        for m, v in values.items()
    ]


@pytest.fixture
def found(tmp_path):
    """Detections of one scan, as segmentation leaves them."""
    one = made_viewer.write_found(tmp_path)
    table = made_viewer.components(one).assign(scan=SCAN)
    write_tsv(tmp_path / "components.tsv", table[["scan", *table.columns[:-1]]])
    facts = {"variant": "vae", "rule": RULE, "components": str(tmp_path / "components.tsv")}
    write_json(one.path, {**read_json(one.path), **facts})
    return type(one)(one.path)


def scores_of(found) -> dict:
    lesion, ignored = found.truth(SCAN, [])
    return segmentation_scores(found.detected(SCAN), lesion, made_viewer.AFFINE, ignored)


def record(variant: str) -> dict:
    return {
        "protocol": "p", "variant": variant, "title": variant.upper(), "model": "m",
        "detector": "d", "expected": "restoration", "seed": 0, "postprocessing": {},
    }  # fmt: skip


def approach(found, variant="vae") -> Approach:
    return Approach(record(variant), pandas.DataFrame(metric_rows(scores_of(found))), {})


def test_outcomes_are_those_of_the_metrics(found):
    scored = outcome(approach(found), SCAN, RULE)
    detected, (lesion, _) = found.detected(SCAN), found.truth(SCAN, [])
    assert scored["dice"] == pytest.approx(2 * 64 / (64 + detected.sum()))
    assert scored["false_ml"] == pytest.approx((detected & ~lesion).sum() * 0.008)
    assert (scored["missed"], scored["lesions"]) == (0, 1)
    assert outcome(approach(found), SCAN, "other") is None


NONE_FOUND = {"lesions": 3, "lesion_recall": 1 / 3, "precision": np.nan, "detected_volume_ml": 0}
NO_LESION = {"lesions": 0, "lesion_recall": np.nan, "precision": 0, "detected_volume_ml": 4}


@pytest.mark.parametrize(("values", "expected"), [(NONE_FOUND, (2, 0)), (NO_LESION, (0, 4))])
def test_outcomes_without_detections_or_lesions(values, expected):
    table = pandas.DataFrame(metric_rows({"dice": 0, "lesion_volume_ml": 1, **values}))
    scored = outcome(Approach(record("vae"), table, {}), SCAN, RULE)
    assert (scored["missed"], scored["false_ml"]) == expected


def test_the_best_slice_stands_beside_the_one_with_most_false_positives(found):
    best, worst = telling_slices(found, SCAN, [])
    assert best["label"].startswith("best, z = ") and "Dice 1.00" in best["label"]
    assert (best["truth"] & best["detection"]).any()
    assert not worst["truth"].any() and worst["detection"].any()
    assert worst["label"].endswith("0.1 ml outside")


def write_pages(folder, found):
    write_tsv(
        folder / "metrics.tsv",
        pandas.DataFrame(
            metric_rows(scores_of(found)) + metric_rows({"dice": 1.0}, "sub-9", "validation")
        ),
    )
    rules = {
        RULE: {"threshold": 0.5, "healthy_false_positive_rate": 0.004},
        "healthy_fpr_0.05": {"threshold": None, "reason": "none"},
    }
    write_json(folder / "thresholds.json", {"hyperintense": rules})
    flagged = [{"scan": SCAN, "reason": "scale 2.3 is above 2"}]
    about = {"protocol": "p", "cohort": "wmh", "flagged": flagged}
    write_json(folder / "quality.json", about)
    run(
        "patient_pages.py",
        input={
            "metrics": [folder / "metrics.tsv"],
            "thresholds": [folder / "thresholds.json"],
            "detected": [found.path],
            "quality": [folder / "quality.json"],
        },
        output={
            "page": folder / "pages" / "index.html",
            "viewer": folder / "pages" / "viewer" / "niivue.umd.js",
        },
        params={
            "approaches": [record("vae")],
            "prior": "hyperintense",
            "lesion_labels": [],
            "orientation": "radiological",
            "report": "../report.html",
        },
        wildcards={"cohort": "wmh", "protocol": "p"},
    )
    return folder / "pages"


def test_pages_have_scores_pictures_and_a_viewer_with_the_truth(tmp_path, found):
    pages = write_pages(tmp_path, found)
    assert {one.name for one in pages.glob("*.html")} == {"index.html", f"{SCAN}.html"}
    page = (pages / f"{SCAN}.html").read_text()
    text = html.unescape(page)
    assert "Test patients of cohort wmh, protocol p" in text and "Screening" not in text
    assert "<b>0.826</b><span>Dice" in text and "0 of 1 lesion" in text
    assert "0.22 ml</b><span>false positives" in text
    assert "Flagged by quality control: scale 2.3 is above 2" in text
    assert "flagged: scale 2.3 is above 2" in (pages / "index.html").read_text()
    assert "most false positives" in text
    content = json.loads(re.findall(r'id="viewer-content">(.*?)</script>', page)[0])
    assert [one["kind"] for one in content["packs"][0]["layers"]] == ["scan", "truth"]
    (one,) = content["approaches"]
    assert [rule["label"] for rule in one["rules"]] == ["best Dice on validation patients"]
    assert list(one["components"]) == ["1", "2"]
    assert (pages / "viewer" / "niivue.umd.js").is_file()
    index = html.unescape((pages / "index.html").read_text())
    assert f'href="{SCAN}.html"' in index and "0.826" in index and "Excluded" not in index


def write_report(path):
    """A report of the same cohort and protocol, with the approach and its leaderboard."""
    table = made_content.metrics(cohorts=("wmh",), seeds=(0,))
    table["approach"] = table["approach"].str.replace("demo/", "p/")
    approaches = [{"key": "p/vae", "approach": "VAE", "protocol": "p"}]
    page = build_report(
        {
            "leaderboards": leaderboard_sections(table),
            "approaches": approaches,
            "patients": {("wmh", "p"): "pages/index.html"},
            "orientation": "radiological",
        },
        path.parent,
    )
    path.write_text(page)


def test_every_link_of_pages_and_report_leads_somewhere(tmp_path, found):
    pages = write_pages(tmp_path, found)
    write_report(tmp_path / "report.html")
    for page in (tmp_path / "report.html", pages / "index.html", pages / f"{SCAN}.html"):
        assert dead_links(page) == []
    links = Page(pages / f"{SCAN}.html").links
    for wanted in (
        "../report.html",
        "../report.html#board-wmh-p",
        "../report.html#approach-p-vae",
        f"{SCAN}_components.tsv",
        f"figures/{SCAN}_vae.png",
        f"figures/{SCAN}_vae.svg",
    ):
        assert wanted in links, wanted
    assert "pages/index.html" in Page(tmp_path / "report.html").links


def test_the_table_beside_a_page_has_the_components_of_all_approaches(tmp_path, found):
    pages = write_pages(tmp_path, found)
    table = read_tsv(pages / f"{SCAN}_components.tsv")
    assert list(table.columns[:2]) == ["approach", "component"] and "scan" not in table
    assert set(table["approach"]) == {"p/vae"}
    assert list(table["component"]) == list(made_viewer.components(found)["component"])


def test_equal_results_give_equal_pages(tmp_path, found):
    first = (write_pages(tmp_path, found) / f"{SCAN}.html").read_bytes()
    assert (write_pages(tmp_path, found) / f"{SCAN}.html").read_bytes() == first


def test_a_viewer_of_many_approaches_has_the_best_of_them(found, monkeypatch):
    monkeypatch.setattr(patients, "VIEWED", 2)
    made = []
    for place, value in enumerate([0.2, 0.5, np.nan, 0.4]):
        area = {**metric_rows({"auprc": value})[0], "level": "cohort", "threshold_rule": "none"}
        made.append(Approach(record(f"a{place}"), pandas.DataFrame([area]), {}))
    cohort = Cohort("wmh", "p", "none", [], made)
    assert cohort.viewed() == {"a1", "a3"}
    assert "the 2 of 4 approaches with the highest AUPRC" in patients.viewer_note(4, 2)
    assert "AUPRC" not in patients.viewer_note(2, 2)
