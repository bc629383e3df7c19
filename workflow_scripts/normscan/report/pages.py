"""Rendering of self-contained pages: templates, style and script from the folder beside."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from normscan.errors import NormscanError
from normscan.report.numbers import count, listing, number, plain, size

TEMPLATES = Path(__file__).parent / "pages"


def render(template: str, **values) -> str:
    """A page from a template; every value but the style and script is escaped.

    The page allows itself its own style and script only (content security policy), so even a
    mistake in a template could load or run nothing else.
    """
    script = (TEMPLATES / "sortable.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
            script=script,
            script_digest=digest,
            **values,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, plain=plain, size=size, count=count, listing=listing, slug=slug
    )
    return environment


def slug(text: str) -> str:
    """An anchor: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"


def relative_link(href: str) -> str:
    """``href`` when it is a relative path; it may go up, since pages lie in folders of a tree.

    Raises
    ------
    NormscanError : an address, an absolute path, a script.
    """
    parts = urlsplit(href)
    if not href or parts.scheme or parts.netloc or href.startswith(("/", "\\")) or ":" in href:
        raise NormscanError(f"{href!r}: links between pages must be relative paths")
    return href


def web_link(href: str) -> str:
    """``href`` when it is a web address; otherwise empty."""
    return href if urlsplit(href).scheme in ("http", "https") else ""
