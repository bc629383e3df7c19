"""The documentation as a site: every page has a place, every link leads somewhere, all is local."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from made_copies import ROOT

PARTS = ["docs", "benchmarks", "configs", "rules", "tests", "workflow_scripts"]
FILES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "config.yaml"]
# What a page is made of, and what looks up an address when it is read.
LOADED = re.compile(
    r'<(?:script|img|iframe|link|source)\b[^>]*?\b(?:src|href)="(?:https?:)?//[^"]*"'
)


def build(root, folder) -> subprocess.CompletedProcess:
    command = [sys.executable, str(root / "docs/write_site.py"), "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def copy(tmp_path):
    """What the pages are made of."""
    root = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_once(site):
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    for page in pages:
        name = page.with_name("index.html" if page.stem == "README" else f"{page.stem}.html")
        assert (site / "html" / name).stat().st_size > 2000, name
    config = yaml.safe_load((site / "mkdocs.yml").read_text())
    named = re.findall(r"[\w./-]+\.md", yaml.safe_dump(config["nav"]))
    assert len(named) == len(set(named)) == len(pages) + 4


def test_nothing_is_loaded_from_elsewhere(site):
    for path in (site / "html").rglob("*.html"):
        assert not LOADED.findall(path.read_text()), path.name
    for path in (site / "html").rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", path.read_text()), path.name


def test_links_into_the_repository_lead_to_texts(site):
    page = (site / "html/new-model.html").read_text()
    assert 'href="files/workflow_scripts/normscan/models/base.py.txt"' in page
    stored = site / "html/files/workflow_scripts/normscan/models/base.py.txt"
    assert "class BaseModel" in stored.read_text()


@pytest.mark.parametrize(
    ("page", "text", "said"),
    [
        ("README.md", "[a](docs/nothing.md)", "README.md: docs/nothing.md"),
        ("docs/fusion.md", "[a](../rules/nothing.smk)", "docs/fusion.md: ../rules/nothing.smk"),
        ("docs/fusion.md", "[a](outputs.md#nothing)", "nothing"),
        ("docs/lost.md", "# Lost", "docs/site.yaml: nav has no place for lost.md"),
    ],
)
def test_what_leads_nowhere_is_an_error(copy, page, text, said):
    path = copy / page
    path.write_text(f"{path.read_text() if path.exists() else ''}\n\n{text}\n")
    done = build(copy, copy / "site")
    assert done.returncode != 0
    assert said in re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
