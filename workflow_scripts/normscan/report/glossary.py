"""What the words of a report mean: every metric, rule, statistic and number of quality control."""

from __future__ import annotations

import yaml

from normscan.report.pages import TEMPLATES


def glossary() -> dict[str, dict[str, str]]:
    """Group -> term -> what it says; names of columns in tables and files stand in brackets."""
    return yaml.safe_load((TEMPLATES / "glossary.yaml").read_text(encoding="utf-8"))


# What pages of scans explain beside threshold rules, and what they do where lesions are known.
_OF_SCANS = (
    "Anomaly map, score",
    "Component",
    "Percentile among healthy scans (percentile)",
    "Uncertainty",
    "Own voxels",
    "Sign prior",
    "Slice grid",
    "Seed",
    "Flagged",
)
_OF_TRUTH = (
    "Dice, F1 (dice, f1)",
    "Lesions found (lesion_recall)",
    "False positives (false_positives)",
)


def page_terms(truth: bool) -> dict[str, str]:
    """Terms of the pages of scans: term -> what it says; ``truth``: detections are scored."""
    groups = glossary()
    known = {term: said for terms in groups.values() for term, said in terms.items()}
    wanted = [*(_OF_TRUTH if truth else ()), *groups["Threshold rules"], *_OF_SCANS]
    return {term: known[term] for term in wanted}


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
