"""Rendering of pages: templates, style and script from the folder beside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from normscan.errors import NormscanError
from normscan.report.numbers import count, listing, number, plain, size

TEMPLATES = Path(__file__).parent / "pages"


def render(
    template: str, viewer: Mapping[str, Any] | None = None, *, beside: bool = False, **values
) -> str:
    """A page from a template; every value but style and scripts is escaped.

    The page allows itself its own style and scripts only (content security policy), so even a
    mistake in a template could load or run nothing else. A page with a viewer loads its library
    from a file beside it. ``strict-dynamic`` leaves that to its own script: neither a folder nor a
    host is allowed, and it works from ``file://`` too, where files have no origin.

    Parameters
    ----------
    viewer : what the viewer shows (``viewer.viewer_content``), and ``library``, a relative path.
    beside : pictures may lie beside the page. Opened as a file it has no origin of its own, so
        files are allowed as well as ``self``; over HTTP no page reaches files.
    """
    scripts = [_part("sortable.js"), *([_part("viewer.js")] if viewer else [])]
    policy = [_hash_source(script) for script in scripts]
    return (
        _environment()
        .get_template(template)
        .render(
            style=_part("page.css") + (_part("viewer.css") if viewer else ""),
            scripts=scripts,
            picture_policy="data:" + " 'self' file:" * beside,
            script_policy=" ".join(policy + ["'strict-dynamic'"] * bool(viewer)),
            viewer=viewer,
            **values,
        )
    )


def _part(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash_source(script: str) -> str:
    """The one script that a policy allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


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


def anchor(approach: str) -> str:
    """The anchor of an approach (``protocol/approach``) in a report."""
    return slug(f"approach-{approach}")


def board_anchor(cohort: str, protocol: str) -> str:
    """The anchor of a leaderboard in a report; without a protocol, of all of them together."""
    return slug(f"board-{cohort}-{protocol or 'all'}")


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
