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


def tensors_of(solver: OneClassSVM, nu: float, size: int, device: torch.device) -> Any:
    """The family's model with these support vectors."""
    count = len(CONTRASTS)
    model = registry.build("one_class_svm", (count, count, size), nu=nu)
    model.support = torch.from_numpy(solver.support_vectors_).float()
    model.coefficients = torch.from_numpy(solver.dual_coef_[0]).float()
    model.offset = torch.tensor(solver.offset_[0]).float()
    return model.to(device).eval()


def main() -> None:
    arguments = options(
        __doc__.splitlines()[0], healthy=4, patients=2, most=20000, features=100, size=128, draws=2
    )
    device = setup(arguments)
    train = np.concatenate([brain(seed, False)[0] for seed in range(arguments.healthy)])
    tested = [brain(100 + seed, True) for seed in range(arguments.patients)]
    asked, truth = (np.concatenate(parts) for parts in zip(*tested))
    few = np.random.default_rng(0).permutation(len(asked))[:20000]
    asked, truth = asked[few], truth[few]
    order = np.random.default_rng(1).permutation(len(train))
    print(f"{len(train):,} pixels to train on; {truth.mean():.1%} of those tested are tumour")

    def row(name: str, nu: float, solver: Any, vectors: np.ndarray) -> dict[str, Any]:
        start = time.process_time()
        solver.fit(vectors)
        seconds = time.process_time() - start
        area = roc_auc_score(truth, -solver.decision_function(asked))
        vectors_kept = len(solver.support_) if isinstance(solver, OneClassSVM) else ""
        return {
            "nu": nu,
            "solver": name,
            "pixels": len(vectors),
            "support vectors": vectors_kept,
            "CPU s": seconds,
            "AUROC": area,
        }

    rows = []
    kept = None
    for nu in (5e-4, 0.1):
        for count in (5000, arguments.most):
            for draw in range(arguments.draws):
                vectors = train[order[draw * count : (draw + 1) * count]]
                solver = exact(nu, count)
                rows.append(row("exact", nu, solver, vectors))
                kept = kept if nu == 0.1 else solver
        vectors = train[order[: arguments.most]]
        for kind in (Nystroem, RBFSampler):
            name = f"{kind.__name__}, {arguments.features}, SGD"
            for seed in range(2):
                solver = approximate(kind, nu, arguments.features, seed)
                rows.append(row(name, nu, solver, vectors))
    table("exact on samples, and approximations on the largest", rows)

    model = tensors_of(kept, 5e-4, arguments.size, device)
    shape = (4, len(CONTRASTS), arguments.size, arguments.size)
    slices = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    flat = slices.permute(0, 2, 3, 1).flatten(0, 2).double().cpu().numpy()
    runs = {
        "scikit-learn": lambda: kept.decision_function(flat),
        "ours": lambda: model.energy(slices),
    }
    seconds = paired(runs, arguments.repeats, device, clock=arguments.clock)
    own = model.decision(torch.from_numpy(flat).float().to(device)).cpu().numpy()
    difference = np.abs(own - runs["scikit-learn"]()).max() / kept.dual_coef_.sum()
    table(
        f"scores of {arguments.size} x {arguments.size} pixels, {len(kept.support_)} support "
        f"vectors; largest difference {difference:.1e} of the coefficients' sum",
        [
            {
                "variant": name,
                f"s for {SLICES} slices": time * SLICES / len(slices),
                "ratio": seconds["scikit-learn"] / time,
            }
            for name, time in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
