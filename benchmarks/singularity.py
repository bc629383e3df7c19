"""The singularity problem: a mixture that is learned with its features, with and without a bound.

Kim et al. 2021, section 2.7 and Fig. 8: energies over training steps of a density model without any
constraint, with the penalty of Zong et al. 2018 and with eigenvalues that are bounded below. What
becomes singular ends there; beside it is the smallest eigenvalue of all covariances. Slices are of
simulated healthy heads.

    python benchmarks/singularity.py --steps 2000 --figure singularity

prints where each ended and by what, and writes singularity.png, .svg and .tsv.
"""

from __future__ import annotations

import numpy as np
import pandas
import torch
from common import options, setup, table
from matplotlib.figure import Figure

from normscan.cohorts.simulation.anatomy import subject_anatomy
from normscan.cohorts.simulation.contrasts import contrast_volume
from normscan.cohorts.simulation.lesions import Lesions
from normscan.cohorts.simulation.noise import stream
from normscan.cohorts.simulation.scanner import bias_field, rician
from normscan.compute.devices import channels_last, seeded
from normscan.errors import TrainingError
from normscan.figures.style import BLUE, GREEN, GREY, ORANGE, new_figure, save_figure, styled
from normscan.files import write_tsv
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.parts import density
from normscan.slices.batch import Batch

CONTRASTS = ("FLAIR", "T2w", "T1w", "T1ce")
# bound -> colour, width and name; equal until something is at the bound, so that one hides another.
BOUNDS = {
    "none": (BLUE, 3.5, "no bound"),
    "penalty": (ORANGE, 1.5, "penalty on small variances"),
    "eigenvalue": (GREEN, 1.0, "eigenvalues bounded below"),
}
SPACING, EVERY, NOISE, BIAS = 2.0, 3, 0.02, 0.2


def made_slices(subjects: int, size: int) -> np.ndarray:
    """Every third axial slice with brain: (n, contrasts, size, size), each contrast a z-score."""
    return np.concatenate([_subject(number, size) for number in range(subjects)])


def _subject(number: int, size: int) -> np.ndarray:
    rng = stream(0, "singularity", str(number), "slices")
    anatomy = subject_anatomy(rng, SPACING, 2.5, head=False)
    volumes = []
    for contrast in CONTRASTS:
        clean = contrast_volume(rng, anatomy, Lesions(), contrast)
        found = rician(rng, clean * bias_field(rng, clean.shape, BIAS), NOISE)
        inside = found[anatomy.brain]
        volumes.append(np.where(anatomy.brain, (found - inside.mean()) / inside.std(), 0))
    slices = np.stack(volumes).transpose(3, 0, 1, 2)[::EVERY]
    slices = slices[(slices != 0).any(axis=1).mean(axis=(1, 2)) > 0.05]
    short = [max(0, size - side) for side in slices.shape[2:]]
    around = [(0, 0), (0, 0), *((one // 2, one - one // 2) for one in short)]
    padded = np.pad(slices, around)
    first = [(side - size) // 2 for side in padded.shape[2:]]
    window = tuple(slice(one, one + size) for one in first)
    return padded[(..., *window)].astype(np.float32)


def trained(
    slices: torch.Tensor, family: str, bound: str, steps: int, batch_size: int, **settings
) -> tuple[list[dict[str, float]], str]:
    """A row per step, and what ended the training ("": the number of steps)."""
    device = slices.device
    shape = (len(CONTRASTS), len(CONTRASTS), slices.shape[-1])
    model = registry.build(family, shape, seed=0, bound=bound, **settings)
    model = model.to(device, memory_format=torch.channels_last).train()
    phase = "density" if "density" in model.phases else model.phases[0]
    update = Updates(model.optimisers(phase))
    seen = watch(model.density)
    rows: list[dict[str, float]] = []
    with seeded(0, device):
        for step in range(steps):
            chosen = torch.randint(len(slices), (batch_size,), device=device)
            batch = Batch.of(channels_last(slices[chosen]))
            update.step = step
            try:
                losses = model.training_step(phase, batch, update)
            except TrainingError as error:
                return rows, str(error)
            named = {
                name: float(losses[name].detach()) for name in ("loss", "reconstruction", "energy")
            }
            rows.append({"step": step + 1, **named, "smallest_eigenvalue": seen[-1]})
    return rows, ""


def watch(estimator: density.DensityEstimator) -> list[float]:
    """The smallest eigenvalue of every batch's covariances, before any bound."""
    found: list[float] = []
    estimate = estimator.estimate

    def watched(features: torch.Tensor, responsibilities: torch.Tensor) -> density.Mixture:
        with torch.no_grad():
            raw = density.Moments.of(features, responsibilities).mixture()
            found.append(float(density.smallest_eigenvalue(raw)))
        return estimate(features, responsibilities)

    estimator.estimate = watched  # ty: ignore[invalid-assignment]
    return found


@styled
def drawn(curves: pandas.DataFrame, ended: dict[str, str], epsilon: float) -> Figure:
    """Mean energy and smallest eigenvalue over steps; a cross where a training was interrupted."""
    figure = new_figure(9.2, 3.2)
    panels = figure.subplots(1, 2)
    for bound, (colour, width, name) in BOUNDS.items():
        own = curves[curves["bound"] == bound]
        for axes, column in zip(panels, ("energy", "smallest_eigenvalue")):
            axes.plot(own["step"], own[column], color=colour, linewidth=width, label=name)
            if ended[bound] and len(own):
                axes.plot(own["step"].iloc[-1], own[column].iloc[-1], "x", color=colour, ms=8)
    panels[0].set(xlabel="training step", ylabel="mean energy (nats)")
    panels[1].set(xlabel="training step", ylabel="smallest eigenvalue", yscale="log")
    panels[1].axhline(epsilon, color=GREY, linewidth=1, linestyle=(0, (3, 2)))
    panels[0].plot([], [], "x", color=GREY, label="interrupted")
    panels[0].legend(loc="upper right")
    return figure


def main() -> None:
    arguments = options(
        __doc__.splitlines()[0],
        family="adm",
        steps=2000,
        subjects=6,
        size=64,
        batch=16,
        epsilon=1e-6,
        density_weight=5e-4,
        figure="",
    )
    device = setup(arguments)
    slices = torch.from_numpy(made_slices(arguments.subjects, arguments.size)).to(device)
    settings: dict = {"epsilon": arguments.epsilon, "density_weight": arguments.density_weight}
    if arguments.family == "adm":
        settings["features"] = "reduced"
    tables, ended, rows = [], {}, []
    for bound in BOUNDS:
        found, ended[bound] = trained(
            slices, arguments.family, bound, arguments.steps, arguments.batch, **settings
        )
        tables.append(pandas.DataFrame(found).assign(bound=bound))
        last = {"bound": bound, **found[-1]} if found else {"bound": bound, "step": 0}
        rows.append({**last, "interrupted by": ended[bound] or "nothing"})
    table(f"{len(slices)} slices, {arguments.steps} steps of {arguments.batch}", rows)
    if arguments.figure:
        curves = pandas.concat(tables)
        write_tsv(f"{arguments.figure}.tsv", curves)
        save_figure(drawn(curves, ended, arguments.epsilon), arguments.figure)


if __name__ == "__main__":
    main()
