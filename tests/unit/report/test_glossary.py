"""Every metric, threshold rule and number of quality control is explained on the page."""

import html
import inspect
import re

import made_content

from normscan.evaluation import boxes, fidelity, segmentation
from normscan.figures.labels import METRICS
from normscan.postprocessing.thresholds import RULES
from normscan.preprocessing.quality import LIMITS
from normscan.report.glossary import QUALITY, glossary
from normscan.report.leaderboard import _FIXED
from normscan.report.report import build_report
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
