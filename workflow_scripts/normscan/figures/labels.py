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
    "f1": "F1",
    "prevalence": "lesion share of voxels",
    "box_precision": "boxes that match a lesion's (IoU from 0.1)",
    "box_recall": "lesions' boxes that are matched (IoU from 0.1)",
    "box_iou": "IoU of matched boxes",
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
    if rule.startswith("otsu_"):
        return _otsu_label(rule.split("_")[1:])
    if rule.startswith("conformal_"):
        return _conformal_label(rule.split("_")[1:])
    match = re.fullmatch(r"([a-z_]+?)(?:[-_:=@]?(\d+(?:\.\d+)?(?:e-?\d+)?))?", rule)
    name, number = (match[1], match[2]) if match else (rule, None)
    if name == "oracle":
        return "best possible (oracle)"
    if name == "best_dice":
        return "best Dice on validation patients"
    if name == "best_synthetic":
        return "best Dice on synthetic anomalies (no labels)"
    if name == "healthy_percentile":
        return (
            f"{float(number):g}th percentile of healthy residuals"
            if number
            else "healthy percentile"
        )
    if name == "healthy_fpr":
        return (
            f"{float(number) * 100:g} % false positives on healthy voxels"
            if number
            else "healthy false-positive rate"
        )
    return rule.replace("_", " ")


def _conformal_label(settings: list[str]) -> str:
    """The promise of a conformal threshold: rate, and the share of subjects that may exceed it."""
    rate, *exceeding = (f"{float(one) * 100:g} %" for one in settings)
    whom = (
        f"in all but {exceeding[0]} of new healthy subjects"
        if exceeding
        else "on new healthy scans"
    )
    return f"at most {rate} false positives promised {whom}"


def _otsu_label(settings: list[str]) -> str:
    """Otsu's rule with the settings of its label: population, opening, least, saturate."""
    population, opening, least, *saturate = settings
    parts = ["Otsu's threshold of each slice" + ("" if population == "slice" else "'s scores")]
    parts += [f"pieces below {opening} mm² dropped"] if float(opening) else []
    parts += [f"scores up to {least} never"] if float(least) else []
    parts += [f"saturated at {saturate[0]}"] if saturate else []
    return ", ".join(parts)
