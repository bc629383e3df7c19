"""Figures of one page of a report: saved, and listed as the report shows them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from normscan.figures.looks import Looks
from normscan.figures.orientation import NEUROLOGICAL, words
from normscan.figures.style import save_figure


class Figures:
    """Figures saved so far (``done``), as the report lists them.

    Parameters
    ----------
    looks : of the approaches that are drawn.
    orientation : of slices (``figures.orientation``).
    """

    def __init__(self, folder: Path, looks: Looks | None = None, orientation: str = NEUROLOGICAL):
        self.folder, self.looks, self.orientation = folder, looks or {}, orientation
        self.done: list[dict[str, str]] = []

    @property
    def sides(self) -> str:
        """What captions of slices say of left and right."""
        return words(self.orientation)

    def add(self, figure: Figure, name: str, section: str, title: str, caption: str) -> None:
        """Save a figure under its name."""
        png, svg = save_figure(figure, self.folder / name)
        entry = {"section": section, "title": title, "caption": caption}
        self.done.append({**entry, "png": str(png), "svg": str(svg)})
