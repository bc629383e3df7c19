"""Every metric, threshold rule and number of quality control is explained on the page."""

import html
import inspect
import re

import made_content

from normscan.evaluation import boxes, fidelity, segmentation
from normscan.figures.labels import METRICS
from normscan.postprocessing.thresholds import RULES
from normscan.preprocessing.quality import LIMITS
from normscan.report.glossary import QUALITY, glossary, page_terms
from normscan.report.leaderboard import _FIXED
from normscan.report.report import build_report
from normscan.report.screening import build_index_page, build_scan_page
from normscan.report.statistics import MEASURES

WORDS = {
    name for terms in glossary().values() for term in terms for name in re.findall(r"\w+", term)
}


def test_every_metric_is_explained():
    scores = re.findall(r'^        "(\w+)":', inspect.getsource(segmentation), re.M)
    scores += re.findall(r'"(box_\w+)"', inspect.getsource(boxes))
    assert {"dice", "volume_error", "box_iou"} <= {*scores}
    known = {*scores, *MEASURES, *(name for name, *_ in _FIXED), fidelity.QUALITY, fidelity.OVERLAP}
    known |= {*METRICS} - {"prevalence"}
    assert known <= WORDS, known - WORDS
    assert "prevalence" in str(glossary())


def test_every_threshold_rule_is_explained():
    assert {*RULES} <= WORDS, {*RULES} - WORDS


def test_every_number_of_quality_control_is_explained_and_has_a_heading():
    known = {*LIMITS, "lesion_ml", "lesion_native_ml", "lost_lesions", "lost_lesion_ml"}
    assert known <= {*QUALITY} and known <= WORDS


def test_definitions_are_text_of_the_page():
    page = build_report(made_content.content())
    text = html.unescape(re.sub(r"<[^>]+>", " ", page[page.index('id="glossary"') :]))
    for terms in glossary().values():
        for term, meaning in terms.items():
            assert term in text and meaning in text
            assert meaning.endswith(".")


def words_of(page: str) -> str:
    """What the folded terms of a page say."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page[page.index('<details id="terms"') :]))


def test_pages_of_scans_explain_their_terms_as_text():
    """What stands in a heading's title only is read by nobody with a keyboard or on paper."""
    scored = made_content.index_page()
    scored["scans"][0]["dice"] = 0.5
    pages = {
        build_scan_page(made_content.scan_page()): False,
        build_index_page(made_content.index_page()): False,
        build_scan_page({**made_content.scan_page(), "truth": True}): True,
        build_index_page(scored): True,
    }
    assert {*page_terms(False)} < {*page_terms(True)}
    for page, truth in pages.items():
        text = words_of(page)
        for term, meaning in page_terms(truth).items():
            assert term in text and meaning in text, term
        assert ("Twice the voxels" in text) == truth
        assert '<a href="#terms">' in page


def test_healthy_voxels_are_said_to_be_those_of_patients_where_there_are_no_others():
    said = glossary()["Threshold rules"]["Healthy voxels"]
    assert "lesion-free slices of validation patients" in said
