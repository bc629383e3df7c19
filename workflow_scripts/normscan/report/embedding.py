"""Pictures of a page: inside of it, or beside it and loaded when they come into view."""

from __future__ import annotations

import base64
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from normscan.errors import NormscanError

_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 24
_SVG_LIMIT = 300_000
# Bytes of pictures inside of a page that has a folder for the others.
KEY_BYTES = 4_000_000
INSIDE: dict[str, Any] = {"lazy": False, "downloads": []}


class Pictures:
    """Pictures of one page.

    Parameters
    ----------
    folder : of the page; None: it stands alone, and all pictures are inside.
    embed : all inside, however many there are.
    """

    def __init__(self, folder: str | Path | None = None, *, embed: bool = False):
        self.folder, self.embed = folder, embed
        self.left = KEY_BYTES

    @property
    def beside(self) -> bool:
        """Whether any picture may lie beside the page."""
        return self.folder is not None and not self.embed

    def shown(self, entry: Mapping[str, Any], *, key: bool = False) -> dict[str, Any]:
        """What a template needs: ``uri``, ``width``, ``height``, ``lazy``, ``downloads``.

        Parameters
        ----------
        entry : ``png`` (bytes or path) and optionally ``svg`` (path).
        key : belongs to the answer: inside, as long as there is room for it.

        Raises
        ------
        NormscanError : a file is missing or is no PNG.
        """
        given = entry.get("png")
        files = [("PNG", given), ("SVG", entry.get("svg"))]
        downloads = [
            (kind, self.link(path)) for kind, path in files if path and not isinstance(path, bytes)
        ]
        found = {"downloads": [one for one in downloads if one[1]]}
        if not self.beside or not given or isinstance(given, bytes):
            return picture(entry) | found
        if key:
            inside = picture(entry)
            if len(inside["uri"]) <= self.left:
                self.left -= len(inside["uri"])
                return inside | found
        size = png_size(_read(given, _HEAD), given)
        return found | {"uri": self.link(given), "lazy": True, **size}

    def link(self, path: str | Path) -> str:
        """A file as a link of the page; empty where the page has no folder."""
        if self.folder is None:
            return ""
        return quote(Path(os.path.relpath(path, self.folder)).as_posix())


def picture(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A figure as data URI with its size in CSS pixels.

    A drawing of lines is embedded as SVG (sharp in print); one that is large or holds pixels as
    PNG. Browsers run no script in, and load nothing for, an SVG shown as an image.

    Parameters
    ----------
    entry : ``png`` (bytes or path) and optionally ``svg`` (path).

    Raises
    ------
    NormscanError : a file is missing or is no PNG.
    """
    if entry.get("svg"):
        text = _read(entry["svg"])
        if len(text) <= _SVG_LIMIT and b"<image" not in text and (dimensions := _svg_size(text)):
            return {**INSIDE, "uri": _uri("image/svg+xml", text), **dimensions}
    given = entry.get("png")
    if not given:
        raise NormscanError(f"figure '{entry.get('title', '')}' has no PNG")
    png = given if isinstance(given, bytes) else _read(given)
    return {**INSIDE, "uri": _uri("image/png", png), **png_size(png, given)}


def png_size(png: bytes, given: Any) -> dict[str, int]:
    """Width and height of a PNG in CSS pixels.

    Parameters
    ----------
    png : its first bytes. given : its path, or the bytes, for the error.
    """
    if not png.startswith(_PNG) or len(png) < _HEAD:
        name = "the given bytes" if isinstance(given, bytes) else given
        raise NormscanError(f"{name}: not a PNG picture")
    width, height = struct.unpack(">II", png[16:_HEAD])
    # Figures are saved at 150 dots per inch; a CSS inch has 96 pixels.
    return {"width": round(width * 96 / 150), "height": round(height * 96 / 150)}


def _read(path: str | Path, count: int = -1) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError as error:
        raise NormscanError(f"{path}: cannot be read ({error.strerror})") from None


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _svg_size(text: bytes) -> dict[str, int] | None:
    found = re.search(rb'<svg[^>]*?width="([\d.]+)pt"[^>]*?', text)
    height = re.search(rb'<svg[^>]*?height="([\d.]+)pt"', text)
    if not found or not height:
        return None
    return {"width": round(float(found[1]) * 4 / 3), "height": round(float(height[1]) * 4 / 3)}
