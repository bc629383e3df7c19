"""Every family has a page, the index names it, and the pages' examples are sound."""

import re
from pathlib import Path

import pytest
import yaml

from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.plugins import literals
from normscan.workflow.protocols import parse_protocol

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "models"
INDEX = FOLDER / "README.md"
PAGES = sorted(path.name for path in FOLDER.glob("*.md") if path != INDEX)
FIRST_LINES = 8


def named(page: str) -> set[str]:
    """Families that a page names in backticks in its first lines (``Family: `vae```)."""
    lines = (FOLDER / page).read_text().splitlines()[:FIRST_LINES]
    return set(re.findall(r"`(\w+)`", "\n".join(lines))) & set(registry.families())


def rows() -> dict[str, list[str]]:
    """Cells of the index by family."""
    found = re.findall(r"^\| `(\w+)` \| (.*) \|$", INDEX.read_text().split("\n## ")[0], re.M)
    return {family: rest.split(" | ") for family, rest in found}


@pytest.mark.parametrize("family", registry.families())
def test_every_family_has_a_page_and_a_row_in_the_index(family):
    assert family in rows(), "docs/models/README.md has no row for it"
    title, source, needs, link = rows()[family]
    assert title == literals(registry.FOLDER / f"{family}.py")["TITLE"]
    assert source and needs
    page = re.fullmatch(r"\[\w+\]\((\w+\.md)\)", link)[1]
    assert family in named(page), f"docs/models/{page} does not name it in its first lines"


def test_no_row_is_of_a_family_that_there_is_not():
    assert set(rows()) == set(registry.families())


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_short_and_of_something(page):
    assert named(page), "its first lines name no family"
    assert len((FOLDER / page).read_text().splitlines()) <= 80


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", (FOLDER / page).read_text()):
        assert target.startswith("http") or (FOLDER / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_examples_are_sound(page):
    """Laid over a small protocol, as a reader would put them into one."""
    blocks = re.findall(r"```yaml\n(.*?)```", (FOLDER / page).read_text(), re.DOTALL)
    assert blocks
    for block in map(yaml.safe_load, blocks):
        whole = {
            "contrasts": ["T1w", "FLAIR"],
            "preprocessing": [{"register": {}}],
            "slices": {"size": 128},
            **block,
        }
        assert parse_protocol("example", whole)[1] == []


# Said in words.
IN_WORDS = {("context_ae.md", "largest_square")}


def stated(cell: str) -> set[float]:
    """Numbers in a cell: ``1e-4``, ``67,000``."""
    found = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", cell)
    return {float(one.replace(",", "")) for one in found}


def is_stated(default, cell: str) -> bool:
    if isinstance(default, bool) or default is None:
        return True
    if isinstance(default, list):
        return all(is_stated(one, cell) for one in default)
    return default in cell if isinstance(default, str) else default in stated(cell)


@pytest.mark.parametrize("page", PAGES)
def test_values_are_those_that_the_code_has(page):
    """Of the page of one family; pages of several say what their protocols have."""
    (family, *others), text = sorted(named(page)), (FOLDER / page).read_text()
    found = re.search(r"\n## Values.*?\n(.*?)(\n## |$)", text, re.DOTALL)
    if others or not found:
        return
    kinds = [registry.describe(family)["settings"]]
    kinds += [detectors.describe(name)["settings"] for name in detectors.names()]
    for line in re.findall(r"^\| (.*) \|$", found[1], re.MULTILINE):
        names, _, values = line.partition(" | ")
        for name in re.findall(r"`(\w+)`", names):
            defaults = [one[name] for one in kinds if name in one]
            right = not defaults or any(is_stated(one, values) for one in defaults)
            assert right or (page, name) in IN_WORDS, f"{page}: {name}: {values}"
