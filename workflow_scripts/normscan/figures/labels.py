"""Names as people read them: metrics and threshold rules in figures and in the report."""

from __future__ import annotations

import re

METRICS = {
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "best_dice": "best possible Dice (oracle)",
    "dice": "Dice per patient",
    "l1_normal": "L1 error, normal",
    "l1_anomalous": "L1 error, anomalous",
    "chi_square": "χ² distance",
    "prevalence": "lesion share of voxels",
}


def metric_label(metric: str) -> str:
    """``auprc`` -> ``AUPRC``; an unknown metric keeps its name."""
    return METRICS.get(metric, metric.replace("_", " "))


SETTINGS = {
    "tv_weight": "weight of the total variation, λ",
    "steps": "restoration steps",
    "model.clusters": "clusters of the mixture",
}


def setting_label(setting: str) -> str:
    """``tv_weight`` -> ``weight of the total variation, λ``; an unknown one keeps its name."""
    return SETTINGS.get(setting, setting.removeprefix("model.").replace("_", " "))


def rule_label(rule: str) -> str:
    """A threshold rule in words; the number of a rule may follow any of ``- _ : = @``.

    ``oracle`` is always marked as such, since it is found on the scans that it is scored on.
    """
    if rule.startswith("oracle:"):
        return f"{rule_label(rule.partition(':')[2])} (oracle: chosen on these scans)"
    match = re.fullmatch(r"([a-z_]+?)(?:[-_:=@]?(\d+(?:\.\d+)?(?:e-?\d+)?))?", rule)
    name, number = (match[1], match[2]) if match else (rule, None)
    if name == "oracle":
        return "best possible (oracle)"
    if name == "best_dice":
        return "best Dice on validation patients"
    if name == "healthy_percentile":
        return (
            f"{float(number):g}th percentile of healthy residuals"
            if number
            else "healthy percentile"
        )
    if name == "healthy_fpr":
        return (
            f"{float(number) * 100:g} % false positives on healthy scans"
            if number
            else "healthy false-positive rate"
        )
    return rule.replace("_", " ")
