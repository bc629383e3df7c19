"""One-class SVM of pixels: exact on samples against approximations; scores against scikit-learn."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from common import options, paired, setup, table
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import SGDOneClassSVM
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM

from normscan.cohorts.simulation.anatomy import subject_anatomy
from normscan.cohorts.simulation.contrasts import contrast_volume
from normscan.cohorts.simulation.lesions import Lesions, place_tumour, tumour_lesions
from normscan.models import registry
from normscan.models.one_class_svm import CACHE, TOLERANCE
from normscan.models.parts.pixels import pixels

CONTRASTS = ("FLAIR", "T2w", "T1w", "T1ce")
SPACING, NOISE = 2.0, 0.03
SLICES = 155


def brain(seed: int, ill: bool) -> tuple[np.ndarray, np.ndarray]:
    """A simulated brain's voxels (m, contrasts), z-scored, and whether each is tumour (m,)."""
    random = np.random.default_rng(seed)
    tumour = place_tumour(random, SPACING) if ill else None
    anatomy = subject_anatomy(random, SPACING, head=False, tumour=tumour)
    lesions = tumour_lesions(random, anatomy, tumour) if tumour else Lesions()
    inside = anatomy.brain
    volumes = [contrast_volume(random, anatomy, lesions, name)[inside] for name in CONTRASTS]
    values = np.stack(volumes, axis=1)
    values = values + random.normal(0, NOISE, values.shape)
    lesion = np.zeros(inside.shape)
    for fraction in lesions.fractions.values():
        lesion = lesion + fraction
    return (values - values.mean(axis=0)) / values.std(axis=0), lesion[inside] > 0.5


def exact(nu: float, count: int) -> OneClassSVM:
    """What the family fits."""
    return OneClassSVM(gamma="auto", nu=nu, tol=TOLERANCE * nu * count, cache_size=CACHE)


def approximate(kind: Any, nu: float, features: int, seed: int) -> Any:
    """A linear one-class SVM on features that approximate the kernel."""
    kernel = kind(gamma=1 / len(CONTRASTS), n_components=features, random_state=seed)
    return make_pipeline(kernel, SGDOneClassSVM(nu=nu, random_state=seed))


def tensors_of(solver: OneClassSVM, size: int, device: torch.device) -> Any:
    """The family's model with these support vectors."""
    count = len(CONTRASTS)
    model = registry.build("one_class_svm", (count, count, size))
    model.support = torch.from_numpy(solver.support_vectors_).float()
    model.coefficients = torch.from_numpy(solver.dual_coef_[0]).float()
    model.offset = torch.tensor(solver.offset_[0]).float()
    return model.to(device).eval()


def fitted(
    name: str, nu: float, solver: Any, vectors: np.ndarray, tested: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Time of a fit, and the area under the curve of its decisions on other brains."""
    start = time.process_time()
    solver.fit(vectors)
    seconds = time.process_time() - start
    asked, truth = tested
    return {
        "nu": nu,
        "solver": name,
        "pixels": len(vectors),
        "support vectors": len(solver.support_) if isinstance(solver, OneClassSVM) else "",
        "CPU s": seconds,
        "AUROC": roc_auc_score(truth, -solver.decision_function(asked)),
    }


def fits(
    train: np.ndarray, tested: tuple[np.ndarray, np.ndarray], sizes: tuple[int, ...], features: int
) -> list[dict[str, Any]]:
    """Exact solvers on disjoint samples, approximations with two seeds on one of the largest."""
    rows = []
    for nu in (5e-4, 0.1):
        for count in sizes:
            for draw in range(2):
                vectors = train[draw * count : (draw + 1) * count]
                rows.append(fitted("exact", nu, exact(nu, count), vectors, tested))
        for kind in (Nystroem, RBFSampler):
            for seed in range(2):
                solver = approximate(kind, nu, features, seed)
                name = f"{kind.__name__}, {features}, SGD"
                rows.append(fitted(name, nu, solver, train[: sizes[-1]], tested))
    return rows


def scores(solver: OneClassSVM, arguments: Any, device: torch.device) -> None:
    """Times of maps, and how far the decisions are from scikit-learn's."""
    side = arguments.size
    model = tensors_of(solver, side, device)
    shape = (4, len(CONTRASTS), side, side)
    slices = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    vectors = pixels(slices)
    asked = vectors.double().cpu().numpy()
    runs = {
        "scikit-learn": lambda: solver.decision_function(asked),
        "ours": lambda: model.energy(slices),
    }
    seconds = paired(runs, arguments.repeats, device, clock=arguments.clock)
    found = model.decision(vectors).cpu().numpy()
    difference = np.abs(found - solver.decision_function(asked)).max() / solver.dual_coef_.sum()
    table(
        f"maps of {SLICES} slices of {side} x {side}, {len(solver.support_)} support vectors; "
        f"largest difference {difference:.1e} of the coefficients' sum",
        [
            {
                "variant": name,
                "s": one * SLICES / len(slices),
                "ratio": seconds["scikit-learn"] / one,
            }
            for name, one in seconds.items()
        ],
    )


def main() -> None:
    arguments = options(
        __doc__.splitlines()[0], healthy=4, patients=2, most=20000, features=100, size=128
    )
    device = setup(arguments)
    random = np.random.default_rng(1)
    train = np.concatenate([brain(seed, False)[0] for seed in range(arguments.healthy)])
    train = random.permutation(train)
    patients = [brain(100 + seed, True) for seed in range(arguments.patients)]
    asked, truth = (np.concatenate(parts) for parts in zip(*patients))
    some = random.permutation(len(asked))[:20000]
    tested = asked[some], truth[some]
    print(f"{len(train):,} pixels to train on; {tested[1].mean():.1%} of those tested are tumour")
    rows = fits(train, tested, (arguments.most // 4, arguments.most), arguments.features)
    table("exact on samples, and approximations on the largest", rows)
    scores(exact(5e-4, arguments.most).fit(train[: arguments.most]), arguments, device)


if __name__ == "__main__":
    main()
