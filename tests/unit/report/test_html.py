"""Pages are parsed without an error, and the test would find one."""

import made_content
import pytest

from html_validation import html_errors
from normscan.report.report import build_report

PAGE = "<!DOCTYPE html><html><head><title>a</title></head><body>{}</body></html>"


def test_a_whole_report_has_no_parse_error():
    assert html_errors(build_report(made_content.content())) == []


@pytest.mark.parametrize(
    "wrong", ["<p>a</b>", "<b><i>a</b></i>", "<div>", "<table><div>a</div></table>"]
)
def test_parse_errors_are_found(wrong):
    assert html_errors(PAGE.format("<p>a</p>")) == []
    assert html_errors(PAGE.format(wrong))
