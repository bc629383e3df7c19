"""The pages in a real browser: the script runs, sorting works, nothing is loaded, no errors."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import made_content
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "figures"))

from normscan.report.report import build_report
from normscan.report.screening import build_scan_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--window-size=1400,2000", "--enable-logging=stderr",
]  # fmt: skip


def browse(page: str, folder: Path, *flags: str) -> tuple[str, str]:
    """(standard output, console) of a headless visit."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags,
         (folder / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, "\n".join(re.findall(r".*CONSOLE.*", done.stderr))


def first_column(dom: str) -> list[str]:
    board = dom[dom.index('aria-label="Leaderboard of demo_ms') :]
    body = board[board.index("<tbody>") : board.index("</tbody>")]
    return re.findall(r'scope="row"[^>]*>([^<]+)', body)


def clicking(page: str, column: int, times: int = 1) -> str:
    """The page, with a script that clicks a heading of the first leaderboard when loaded.

    The page's policy allows its own script only, so the click is allowed for the test.
    """
    page = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", page)
    click = (
        "document.querySelector(\"[aria-label^='Leaderboard'] table\")"
        f'.querySelectorAll("thead button")[{column}].click();'
    )
    return page.replace("</body>", f"<script>{click * times}</script></body>")


@pytest.fixture(scope="module")
def page() -> str:
    return build_report(made_content.content())


def test_report_shows_without_errors_under_its_own_policy(page, tmp_path):
    dom, console = browse(page, tmp_path, "--dump-dom")
    assert console == ""
    assert "<button" in dom, "the page's own script did not run"
    assert first_column(dom)[0] == "VAE (restoration)"


def test_foreign_script_is_refused_by_the_policy(page, tmp_path):
    foreign = page.replace("</body>", "<script>document.title = 'taken'</script></body>")
    dom, console = browse(foreign, tmp_path, "--dump-dom")
    assert "<title>taken" not in dom and "Content Security Policy" in console


@pytest.mark.parametrize(
    ("column", "times", "expected"),
    [
        (0, 1, ["AE (dense)", "Bayesian VAE", "FLAIR intensity", "VAE", "VAE (restoration)"]),
        (1, 2, ["AE (dense)", "FLAIR intensity", "VAE", "Bayesian VAE", "VAE (restoration)"]),
        (1, 3, ["VAE (restoration)", "Bayesian VAE", "VAE", "FLAIR intensity", "AE (dense)"]),
    ],
)
def test_headings_sort_the_table(page, tmp_path, column, times, expected):
    dom, _ = browse(clicking(page, column, times), tmp_path, "--dump-dom")
    assert first_column(dom) == expected


def test_pictures_beside_the_page_are_loaded_when_they_are_looked_at(tmp_path):
    import driven
    import made_figures
    from made_content import figures

    shown = []
    for number, entry in enumerate(figures(made_figures)):
        png = tmp_path / "figures" / f"a b {number}.png"
        png.parent.mkdir(exist_ok=True)
        png.write_bytes(entry["png"])
        shown.append({**entry, "png": str(png)})
    (tmp_path / "page.html").write_text(build_report({"figures": shown}, tmp_path))
    with driven.Browser(tmp_path / "profile") as browser:
        browser.open((tmp_path / "page.html").as_uri())
        seen = "document.querySelector('#figures-slices img').naturalWidth"
        assert browser.run("document.images.length") == len(shown)
        assert browser.run(seen) == 0, "what is folded is not loaded"
        # A link to what is folded opens it.
        browser.run("location.hash = '#figures-slices'")
        browser.wait(f"{seen} > 100")
        assert browser.run("document.querySelector('#figures-slices').open")
        assert browser.console == []


def test_no_part_of_the_page_is_wider_than_a_phone(page, tmp_path):
    import driven

    (tmp_path / "page.html").write_text(page)
    with driven.Browser(tmp_path / "profile") as browser:
        browser.size(390, 844)
        browser.open((tmp_path / "page.html").as_uri())
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert browser.run("document.documentElement.scrollWidth") <= 390
        # Wide tables scroll inside of their own box.
        wide = (
            "[...document.querySelectorAll('.scroll')].some((b) => b.scrollWidth > b.clientWidth)"
        )
        assert browser.run(wide)


def test_pages_with_pictures_can_be_photographed(tmp_path):
    import made_figures
    from PIL import Image

    shot = tmp_path / "scan.png"
    browse(build_scan_page(made_content.scan_page(made_figures)), tmp_path, f"--screenshot={shot}")
    image = Image.open(shot).convert("L").crop((40, 330, 600, 900))
    # The picture of slices: black ground with grey brains.
    dark = sum(image.histogram()[:8]) / (image.width * image.height)
    assert 0.2 < dark < 0.95
