"""The viewer in a real browser: it draws, follows thresholds and components, and knows when not."""

import functools
import http.server
import io
import threading
from pathlib import Path

import driven
import made_content
import made_viewer
import numpy as np
import pytest
from PIL import Image

from normscan.report.screening import build_scan_page
from normscan.report.vendor import write_library
from normscan.report.viewer import viewer_content

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(driven.CHROMIUM is None, reason="chromium is not installed"),
]
STARTED = "document.querySelector('#viewer-place').textContent"
BUTTONS = "#viewer .rules button"


def write_page(folder: Path, orientation: str = "neurological", tilted: bool = False) -> Path:
    """A page with two approaches, and the library beside it; ``tilted``: the scan as it came."""
    shown = made_viewer.shown(folder)
    if tilted:
        made_viewer.place_natively(shown[0].found.content["index"], folder)
    viewer = viewer_content(made_viewer.SCAN, shown, labels=[], orientation=orientation)
    result = {**made_content.scan_page()["results"][0], "components": shown[0].components}
    results = [{**result, "title": one.title, "thresholds": list(one.rules)} for one in shown]
    library = "viewer/niivue.umd.js"
    page = build_scan_page(
        {
            "cohort": "wmh",
            "scan": made_viewer.SCAN,
            "results": results,
            "viewer": {"library": library, **viewer},
        }
    )
    write_library(folder / library)
    (folder / "page.html").write_text(page, encoding="utf-8")
    return folder / "page.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write_page(tmp_path_factory.mktemp("viewer"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory, page):
    profile = tmp_path_factory.mktemp("profile")
    with driven.Browser(profile, *driven.SOFTWARE_WEBGL) as browser:
        browser.size(1400, 1000)
        browser.open(page.as_uri())
        browser.wait(STARTED)
        yield browser


def drawn(browser: driven.Browser) -> np.ndarray:
    """The canvas (height, width, RGB)."""
    picture = Image.open(io.BytesIO(browser.picture("#viewer canvas"))).convert("RGB")
    return np.asarray(picture, int)


def coloured(browser: driven.Browser) -> int:
    """Pixels in the warm colours of the map."""
    red, green, blue = np.moveaxis(drawn(browser), 2, 0)
    return int(((red > green + 40) & (red > blue)).sum())


def test_it_draws_without_errors_under_the_pages_own_policy(browser):
    assert browser.console == []
    assert browser.run("document.querySelector('#viewer-note').hidden")
    assert drawn(browser).std() > 20, "the canvas is blank"
    assert coloured(browser) > 100, "the map is not drawn"
    # It starts at the largest component.
    assert browser.text("#viewer-place").startswith("x 3")
    assert "FLAIR 1." in browser.text("#viewer-place")


def test_a_rule_moves_the_slider_and_says_what_it_means(browser):
    values, shown = [], []
    for place in (2, 1):
        browser.click(f"{BUTTONS}:nth-child({place})")
        values.append(float(browser.run("document.querySelector('.scale input').value")))
        shown.append(coloured(browser))
        pressed = browser.run(
            f"[...document.querySelectorAll('{BUTTONS}')].map((one) => one.ariaPressed)"
        )
        assert [one == "true" for one in pressed] == [place == 1, place == 2, False]
    assert values == pytest.approx([0.2, 0.5], abs=0.002)
    assert shown[0] > 1.2 * shown[1], "a lower threshold shows no more"
    assert "0.40\u00a0% of healthy voxels" in browser.text("#viewer-words")
    assert "Here 0.7 ml lie above" in browser.text("#viewer-words")


def test_a_rule_without_a_threshold_says_so(browser):
    browser.click(f"{BUTTONS}:nth-child(3)")
    assert "each slice has a threshold of its own" in browser.text("#viewer-words")
    browser.click(f"{BUTTONS}:nth-child(1)")


def test_a_rule_per_slice_shows_its_detections(page, tmp_path):
    """Where it is what was used: no place of the slider stands for it."""
    used = '"used": true, "value": 0.5'
    text = page.read_text()
    assert text.count(used) == 2
    other = tmp_path / "page.html"
    other.write_text(text.replace(used, '"used": true, "value": null'))
    write_library(tmp_path / "viewer" / "niivue.umd.js")
    with driven.Browser(tmp_path / "profile", *driven.SOFTWARE_WEBGL) as browser:
        browser.open(other.as_uri())
        browser.wait(STARTED)
        on = {
            browser.text(f"#viewer-layers li:nth-child({place})"): browser.run(
                f"document.querySelector('#viewer-layers li:nth-child({place}) input').checked"
            )
            for place in range(1, 6)
        }
        assert on == {
            "FLAIR": True,
            "restoration": False,
            "lesions": True,
            "anomaly map": False,
            "detection": True,
        }
        browser.click(f"{BUTTONS}:nth-child(2)")
        assert browser.run("document.querySelector('#viewer-layers li:nth-child(4) input').checked")


def test_the_slider_follows_the_hand(browser):
    browser.click(".scale input", across=0.9)
    assert "the place of no rule" in browser.text("#viewer-words")
    few = coloured(browser)
    browser.click(f"{BUTTONS}:nth-child(1)")
    assert few < coloured(browser)


def test_layers_can_be_switched_off(browser):
    before = coloured(browser)
    box = "#viewer-layers li:nth-child(4) input[type=checkbox]"
    assert "anomaly map" in browser.text("#viewer-layers li:nth-child(4)")
    browser.click(box)
    assert coloured(browser) < 0.2 * before
    browser.click(box)
    assert coloured(browser) == pytest.approx(before, rel=0.1)


def test_a_component_is_jumped_to_in_the_approach_that_found_it(browser):
    row = "[data-section='1'] table.sortable tbody tr:nth-child(2)"
    browser.click(f"{row} td:nth-child(3)")
    browser.wait(f"{STARTED}.startsWith('x 1')")  # the smaller one, to the left
    assert browser.run("document.querySelector('#viewer-approaches select').value") == "1"
    names = browser.run(
        "[...document.querySelectorAll('#viewer-layers li')].map((o) => o.innerText)"
    )
    assert "restoration" not in "".join(names), "layers of the other approach"
    browser.click("[data-section='0'] table.sortable tbody tr:nth-child(1) button.jump")
    browser.wait(f"{STARTED}.startsWith('x 3')")
    assert browser.run("document.querySelector('#viewer-approaches select').value") == "0"


def choose_voxels(browser: driven.Browser, value: str) -> None:
    browser.run(f"document.querySelector('#viewer-voxels select').value = {value!r}")
    browser.run(
        "document.querySelector('#viewer-voxels select').dispatchEvent(new Event('change'))"
    )
    own = str(value == "own").lower()
    browser.wait(
        "document.querySelector('#viewer-layers li').innerText.includes('own voxels') === " + own
    )


def place_of(browser: driven.Browser) -> list[float]:
    """x, y, z (mm) of the crosshair."""
    said = browser.text("#viewer-place").split(" mm")[0].replace("−", "-")
    return [float(part.split()[1]) for part in said.split(", ")]


def test_the_scans_own_voxels_lie_below_the_same_places(tmp_path):
    """The scan lies turned and stretched against the atlas; its lesions are where the map is."""
    page = write_page(tmp_path, tilted=True)
    with driven.Browser(tmp_path / "profile", *driven.SOFTWARE_WEBGL) as browser:
        browser.size(1400, 1000)
        browser.open(page.as_uri())
        browser.wait(STARTED)
        place, warm = place_of(browser), coloured(browser)
        options = browser.run(
            "[...document.querySelectorAll('#viewer-voxels option')].map((one) => one.textContent)"
        )
        assert options == [
            "slice grid, 2 × 2 × 2 mm",
            "the scan's own, 0.851 × 0.855 × 1.2 mm",
        ]
        choose_voxels(browser, "own")
        assert "laid in atlas space" in browser.text("#viewer-voxels-note")
        np.testing.assert_allclose(place_of(browser), place, atol=1)
        assert coloured(browser) == pytest.approx(warm, rel=0.35), "the map is drawn elsewhere"
        # The native values at both components: lesions are about 150, the brain about 50.
        for row in (1, 2):
            browser.click(f"[data-section='0'] table.sortable tbody tr:nth-child({row}) button")
            browser.wait("document.querySelector('tr.chosen')?.rowIndex === " + str(row))
            said = browser.text("#viewer-place")
            assert 110 < float(said.split("own voxels ")[1].split(",")[0]) < 200, said
        # Another approach on the same grid keeps them; switched off, they are gone.
        browser.click("[data-section='1'] table.sortable tbody tr:nth-child(1) button")
        browser.wait("document.querySelector('#viewer-approaches select').value === '1'")
        assert "own voxels" in browser.text("#viewer-layers li:nth-child(1)")
        choose_voxels(browser, "grid")
        np.testing.assert_allclose(place_of(browser), place, atol=1)
        assert "own voxels" not in browser.text("#viewer-place")
        # The library says that such voxels lie askew, as they do.
        assert [one for one in browser.console if not one.startswith("niivue-warn")] == []


def test_without_own_voxels_the_page_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("normscan.report.own_voxels.LIMIT", 1000)
    page = write_page(tmp_path)
    with driven.Browser(tmp_path / "profile", *driven.SOFTWARE_WEBGL) as browser:
        browser.open(page.as_uri())
        browser.wait(STARTED)
        assert browser.run("document.querySelector('#viewer-voxels').hidden")
        assert "more than the 1,000 voxels" in browser.text("#viewer-voxels-note")


def across_axial(browser: driven.Browser) -> list[float]:
    """x (mm) of a click on the left and of one on the right half of an axial slice."""
    browser.run("document.querySelector('#viewer-planes').value = 'axial'")
    browser.run("document.querySelector('#viewer-planes').dispatchEvent(new Event('change'))")
    x = []
    for across in (0.4, 0.6):
        browser.click("#viewer canvas", across=across)
        x.append(place_x(browser))
    return x


def place_x(browser: driven.Browser) -> float:
    return float(browser.text("#viewer-place").split(",")[0].split()[1].replace("−", "-"))


def test_left_is_on_the_left(browser):
    x = across_axial(browser)
    assert x[0] < x[1], "x grows to the patient's right"


def test_left_is_on_the_right_for_radiologists_and_keys_follow_the_eye(tmp_path):
    page = write_page(tmp_path, "radiological")
    with driven.Browser(tmp_path / "profile", *driven.SOFTWARE_WEBGL) as browser:
        browser.size(1400, 1000)
        browser.open(page.as_uri())
        browser.wait(STARTED)
        x = across_axial(browser)
        assert x[0] > x[1]
        assert "left is on the right (radiological)" in browser.text("#viewer")
        browser.press("ArrowRight")
        before = place_x(browser)
        browser.press("ArrowRight")
        assert place_x(browser) < before
        assert browser.console == []


def test_keys_move_the_crosshair_and_the_page_can_be_scrolled(browser):
    browser.click("#viewer canvas")
    # A click lies anywhere in a voxel, a key goes to the middle of one.
    browser.press("PageUp")
    before = browser.text("#viewer-place").split(":")[0]
    browser.press("PageUp")
    after = browser.text("#viewer-place").split(":")[0]
    assert before.split(", z")[0] == after.split(", z")[0] and before != after
    assert browser.console == []


def test_it_fits_a_phone(browser):
    browser.size(390, 844)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.place("#viewer canvas")["width"] > 300
    browser.size(1400, 1000)


def test_it_loads_over_http_as_well(page, tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(page.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with driven.Browser(tmp_path, *driven.SOFTWARE_WEBGL) as browser:
            browser.open(f"http://127.0.0.1:{server.server_port}/page.html")
            browser.wait(STARTED)
            said = [one for one in browser.console if "404" not in one]
        server.shutdown()
    assert said == []


def refusal(page: Path, profile: Path, *flags: str) -> str:
    """What the page says in place of a viewer; the rows of slices must still be there."""
    with driven.Browser(profile, *flags) as browser:
        browser.open(page.as_uri())
        note = "document.querySelector('#viewer-note')"
        browser.wait(f"{note}.textContent.startsWith('No viewer here')")
        assert not browser.run(f"{note}.hidden")
        assert browser.run("document.querySelector('#viewer-panel').hidden")
        return browser.text("#viewer-note")


def test_without_webgl_the_page_says_so(page, tmp_path):
    flags = ("--disable-gpu", "--disable-3d-apis")
    assert "no WebGL 2" in refusal(page, tmp_path, *flags)


def test_without_the_library_the_page_says_so(page, tmp_path):
    alone = tmp_path / "alone.html"
    alone.write_bytes(page.read_bytes())
    text = refusal(alone, tmp_path / "profile", *driven.SOFTWARE_WEBGL)
    assert "viewer/niivue.umd.js" in text and "missing" in text


def test_without_scripts_the_page_says_so(page, tmp_path):
    with driven.Browser(tmp_path) as browser:
        browser.without_scripts()
        browser.open(page.as_uri())
        assert "needs scripts" in browser.text("#viewer-note")


def test_a_foreign_script_cannot_be_loaded(page, tmp_path):
    (tmp_path / "foreign.js").write_text("document.title = 'taken';")
    text = page.read_text().replace("</main>", '<script src="foreign.js"></script></main>')
    (tmp_path / "page.html").write_text(text)
    with driven.Browser(tmp_path / "profile") as browser:
        browser.open((tmp_path / "page.html").as_uri())
        assert browser.run("document.title") != "taken"
        assert any("Content Security Policy" in one for one in browser.console)
