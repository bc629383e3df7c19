"""Which side of a slice the patient's left is shown on.

Slices are arrays with x towards the patient's right (RAS+). A neurologist looks from above, a
radiologist from the feet: then the patient's right is on the left.
"""

from __future__ import annotations

NEUROLOGICAL, RADIOLOGICAL = "neurological", "radiological"


def orient(axes, orientation: str) -> None:
    """Turn a panel whose x axis goes to the patient's right; to be called after all is drawn."""
    if orientation == RADIOLOGICAL and not axes.xaxis_inverted():
        axes.invert_xaxis()


def sides_of(orientation: str) -> tuple[str, str]:
    """What is on the left and on the right of a panel: L or R, of the patient."""
    return ("R", "L") if orientation == RADIOLOGICAL else ("L", "R")


def words(orientation: str) -> str:
    """The same as a sentence for captions."""
    side = "right" if orientation == RADIOLOGICAL else "left"
    return f"The patient's left is on the {side} ({orientation})."
