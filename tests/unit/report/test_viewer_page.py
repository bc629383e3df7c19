"""The viewer's part of a page: there or not, its policy, nothing from data is run."""

import json
import re

import made_content
import made_viewer
import pytest

from normscan.errors import NormscanError
from normscan.report.report import build_report
from normscan.report.screening import build_scan_page
from normscan.report.viewer import viewer_content

LIBRARY = "viewer/niivue.umd.js"


def scan_page(viewer: dict | None, **further) -> str:
    return build_scan_page({**made_content.scan_page(), "viewer": viewer, **further})


def content_of(page: str) -> dict:
    (text,) = re.findall(
        r'<script type="application/json" id="viewer-content">(.*?)</script>', page
    )
    return json.loads(text)


@pytest.fixture
def viewer(tmp_path) -> dict:
    shown = made_viewer.shown(tmp_path)
    return {"library": LIBRARY, **viewer_content(made_viewer.SCAN, shown)}


def test_pages_with_volumes_have_a_viewer_and_their_content(viewer):
    page = scan_page(viewer)
    assert f'data-library="{LIBRARY}"' in page and 'data-section="0"' in page
    assert content_of(page) == viewer
    assert "No viewer here: it needs scripts" in page, "for who runs none"
    assert scan_page(viewer) == page


def test_pages_without_volumes_have_none():
    for page in (scan_page(None), build_report(made_content.content())):
        assert "viewer" not in page and "strict-dynamic" not in page


def test_the_policy_allows_the_pages_own_scripts_and_what_they_load(viewer):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', scan_page(viewer))
    (scripts,) = re.findall(r"script-src ([^;]*)", policy)
    parts = scripts.split()
    assert len(parts) == 3 and parts[2] == "'strict-dynamic'"
    assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", one) for one in parts[:2])
    assert "default-src 'none'" in policy and "img-src data:;" in policy
    assert "unsafe-eval" not in policy and not re.search("https?:|file:|blob:", policy)


def test_markup_in_the_viewers_content_is_data(viewer):
    nasty = "</script><script>alert(1)</script><!-- ' \" &"
    viewer["approaches"][0]["title"] = nasty
    viewer["approaches"][0]["rules"][0]["words"] = nasty
    viewer["packs"][0]["layers"][0]["name"] = nasty
    page = scan_page(viewer)
    assert "alert(1)</script>" not in page and "<!-- '" not in page
    assert content_of(page)["approaches"][0]["title"] == nasty


def test_the_library_is_a_file_beside_the_page(viewer):
    for href in ("https://example.org/niivue.js", "/niivue.js", "javascript:alert(1)"):
        with pytest.raises(NormscanError, match="relative"):
            scan_page({**viewer, "library": href})
