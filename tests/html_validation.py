"""What a parser of HTML, by its specification, says of a page."""

from __future__ import annotations

import html5lib


def html_errors(text: str) -> list[str]:
    """Line, column and code of every parse error: tags that cross, stay open or are misplaced."""
    parser = html5lib.HTMLParser()
    parser.parse(text)
    return [f"{line}:{column}: {code} {said}" for (line, column), code, said in parser.errors]
