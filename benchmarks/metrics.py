"""Voxel metrics of a cohort: score histograms that add up, and scikit-learn on all voxels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
from common import options, paired, setup, table
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from normscan.evaluation.curves import auprc, auroc
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.thresholds import best_dice

Scores = tuple[float, float, float]


def scans(count: int, voxels: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scores and lesion voxels, scan by scan; half of the scores are zero, 1 % is lesion."""
    for seed in range(count):
        generator = np.random.default_rng(seed)
        lesion = generator.random(voxels) < 0.01
        score = generator.gamma(1, 0.1, voxels) + 0.3 * lesion
        yield (score * (generator.random(voxels) < 0.5)).astype(np.float32), lesion


def with_histograms(cohort) -> Scores:
    """One scan in memory at a time."""
    total = None
    for score, lesion in cohort:
        own = ScoreHistogram.of(score, lesion, np.ones(score.shape, bool))
        total = own if total is None else total + own
    return auroc(total), auprc(total), best_dice(total)[0]


def with_sklearn(cohort) -> Scores:
    """All voxels in memory."""
    score, lesion = (np.concatenate(arrays) for arrays in zip(*cohort))
    precision, recall, _ = precision_recall_curve(lesion, score)
    dice = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return roc_auc_score(lesion, score), average_precision_score(lesion, score), float(dice.max())


def peak(run: Callable[[], object]) -> float:
    """Largest memory that arrays took, in MB."""
    tracemalloc.start()
    run()
    found = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return found


def main() -> None:
    arguments = options(__doc__, voxels=500_000)
    setup(arguments)
    for count in (4, 16):
        cohort = list(scans(count, arguments.voxels))
        variants = {"scikit-learn": with_sklearn, "histograms": with_histograms}
        seconds = paired(
            {name: lambda run=run: run(cohort) for name, run in variants.items()},  # noqa: B023
            arguments.repeats,
            clock=arguments.clock,
        )
        values = {name: run(cohort) for name, run in variants.items()}
        difference = np.abs(np.subtract(values["histograms"], values["scikit-learn"]))
        rows = [
            {
                "variant": name,
                "seconds": seconds[name],
                "times scikit-learn": seconds["scikit-learn"] / seconds[name],
                "peak MB": peak(lambda run=run: run(scans(count, arguments.voxels))),  # noqa: B023
                **dict(zip(("AUROC", "AUPRC", "best Dice"), values[name])),
            }
            for name, run in variants.items()
        ]
        table(f"{count} scans of {arguments.voxels:,} voxels", rows)
        print(f"  largest difference: {difference.max():.1e}")


if __name__ == "__main__":
    main()
