"""What the words of a report mean: every metric, rule, statistic and number of quality control."""

from __future__ import annotations

import yaml

from normscan.report.pages import TEMPLATES


def glossary() -> dict[str, dict[str, str]]:
    """Group -> term -> what it says; names of columns in tables and files stand in brackets."""
    return yaml.safe_load((TEMPLATES / "glossary.yaml").read_text(encoding="utf-8"))


# Headings of tables of quality control, with units.
QUALITY = {
    "brain_ml": "brain volume (ml)",
    "scale": "scale",
    "dice_atlas": "overlap with the atlas's brain (Dice)",
    "similarity": "similarity to the atlas",
    "correlation": "correlation with the atlas",
    "border_fraction": "brain at the border (share)",
    "lesion_outside": "lesions outside of the brain (share)",
    "lesion_ml": "lesions (ml)",
    "lesion_native_ml": "lesions before resampling (ml)",
    "lost_lesions": "lost lesions",
    "lost_lesion_ml": "lost lesions (ml)",
}
