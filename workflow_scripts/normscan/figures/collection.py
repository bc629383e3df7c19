"""Figures of one page of a report: saved, and listed as the report shows them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from normscan.figures.style import save_figure


class Figures:
    """Figures saved so far, as the report lists them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.done: list[dict[str, str]] = []

    def add(self, figure: Figure, name: str, section: str, title: str, caption: str) -> None:
        """Save a figure under its name."""
        png, svg = save_figure(figure, self.folder / name)
        entry = {"section": section, "title": title, "caption": caption}
        self.done.append({**entry, "png": str(png), "svg": str(svg)})
