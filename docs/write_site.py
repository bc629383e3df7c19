"""Build the documentation as a site: pages in site/pages, HTML in site/html.

Pages link to files of the repository, as they do where it is looked at: such a file becomes a page
(Markdown) or a text beside the pages, and the link leads there. A link that leads nowhere, to a
file or to a heading, is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CONFIG = DOCS / "site.yaml"
# Pages that stand elsewhere in the repository than in docs/, and their places.
OTHERS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "benchmarks/README.md": "benchmarks.md",
}
PICTURES = (".png", ".svg", ".jpg")
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:|#")


class Site:
    """What is laid out: file of the repository -> place among the pages.

    Parameters
    ----------
    folder : of the pages.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.pages = {path: place_of(path) for path in sorted(DOCS.rglob("*.md"))}
        self.pages |= {ROOT / name: place for name, place in OTHERS.items()}
        self.texts: dict[Path, str] = {}
        self.lost: list[str] = []

    def write(self) -> None:
        """All pages, pictures and texts. SystemExit when a link leads nowhere."""
        self._put("site.css", (DOCS / "site.css").read_text(encoding="utf-8"))
        for path, place in self.pages.items():
            self._put(place, self._with_links(path))
        for path, place in self.texts.items():
            if path.suffix in PICTURES:
                (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.folder / place)
            else:
                self._put(place, listing(path) if path.is_dir() else path.read_text("utf-8"))
        if self.lost:
            raise SystemExit("\n".join(["these links lead nowhere:", *self.lost]))

    def _put(self, place: str, text: str) -> None:
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / place).write_text(text, encoding="utf-8")

    def _with_links(self, path: Path) -> str:
        """A page's text, its links to other files as from its own place."""
        text = path.read_text(encoding="utf-8")
        parts, end = [], 0
        for fence in FENCE.finditer(text):
            parts += [self._linked(path, text[end : fence.start()]), fence[0]]
            end = fence.end()
        return "".join([*parts, self._linked(path, text[end:])])

    def _linked(self, path: Path, text: str) -> str:
        return LINK.sub(lambda found: found[1] + self._target(path, found[2]) + found[3], text)

    def _target(self, path: Path, link: str) -> str:
        if ELSEWHERE.match(link):
            return link
        name, mark, heading = link.partition("#")
        target = Path(os.path.normpath(path.parent / name))
        if not target.exists():
            self.lost.append(f"{path.relative_to(ROOT)}: {link}")
            return link
        place = self.pages.get(target) or self.texts.setdefault(target, text_place(target))
        here = os.path.dirname(self.pages[path])
        return os.path.relpath(place, here or ".") + mark + heading


def place_of(page: Path) -> str:
    """Where a page of docs/ stands; a folder's first page is its index."""
    return re.sub(r"/README\.md$", "/index.md", page.relative_to(DOCS).as_posix())


def text_place(path: Path) -> str:
    """Where any other file stands; with an ending that browsers show instead of storing it."""
    name = path.relative_to(ROOT).as_posix()
    if path.suffix in PICTURES:
        return name.removeprefix("docs/")
    return f"files/{name}.txt"


def listing(folder: Path) -> str:
    """What a folder holds."""
    return "".join(f"{one.name}\n" for one in sorted(folder.iterdir()) if one.name[0] not in "._")


def navigation(nav: list, places: list[str]) -> list:
    """``nav`` with the pages that ``folder/*`` stands for."""
    named = set(_named(nav))
    found = []
    for entry in nav:
        if isinstance(entry, str) and entry.endswith("/*"):
            folder = entry.removesuffix("*")
            found += [one for one in places if one.startswith(folder) and one not in named]
        elif isinstance(entry, dict):
            ((title, inner),) = entry.items()
            whole = navigation(inner, places) if isinstance(inner, list) else inner
            found.append({title: whole})
        else:
            found.append(entry)
    return found


def _named(nav: list | dict | str) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for one in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _named(one)


def write_pages(folder: Path) -> None:
    """``pages/`` and ``mkdocs.yml``. SystemExit for links to nothing, and pages without a place."""
    shutil.rmtree(folder, ignore_errors=True)
    site = Site(folder / "pages")
    site.write()
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["nav"] = navigation(config["nav"], sorted(site.pages.values()))
    if missing := sorted(set(site.pages.values()) - set(_named(config["nav"]))):
        raise SystemExit(f"docs/site.yaml: nav has no place for {', '.join(missing)}")
    config |= {"docs_dir": "pages", "site_dir": "html"}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "site")
    folder = parser.parse_args().folder.resolve()
    write_pages(folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", "mkdocs.yml"]
    sys.exit(subprocess.run(command, cwd=folder).returncode)


if __name__ == "__main__":
    main()
