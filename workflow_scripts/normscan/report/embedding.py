"""Pictures inside a page: checked, and embedded so that the page stands alone."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normscan.errors import NormscanError

_PNG = b"\x89PNG\r\n\x1a\n"
_SVG_LIMIT = 300_000


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
            return {"uri": _uri("image/svg+xml", text), **dimensions}
    if not entry.get("png"):
        raise NormscanError(f"figure '{entry.get('title', '')}' has no PNG")
    png = entry["png"] if isinstance(entry["png"], bytes) else _read(entry["png"])
    if not png.startswith(_PNG) or len(png) < 24:
        name = "the given bytes" if isinstance(entry["png"], bytes) else entry["png"]
        raise NormscanError(f"{name}: not a PNG picture")
    width, height = struct.unpack(">II", png[16:24])
    # Figures are saved at 150 dots per inch; a CSS inch has 96 pixels.
    return {
        "uri": _uri("image/png", png),
        "width": round(width * 96 / 150),
        "height": round(height * 96 / 150),
    }


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
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
