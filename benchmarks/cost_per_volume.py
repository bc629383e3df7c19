"""What detection costs: seconds per volume and parameters of all approaches of shipped protocols.

Each model has its protocol's settings and untrained weights (what is fitted at once is fitted, to
the slices of made scans), which cost as much as trained ones, but for detectors that go on until
something converges. Slices are made ones of ``--size`` pixels whatever the protocol says, so that
approaches compare; so many of them are measured, a volume has ``--volume``. A weight that is found
on healthy scans (``auto``) is the published one here, as it makes nothing dearer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
import yaml
from common import CLOCKS, ROOT, options, setup, table

from normscan.detectors import registry as detectors
from normscan.detectors.base import Detector
from normscan.files import write_json
from normscan.models import registry
from normscan.models.base import BaseModel
from normscan.slices.index import PackIndex, ScanEntry
from normscan.slices.store import SliceStore
from normscan.training.bundle import ModelFacts
from normscan.training.loop import train
from normscan.workflow.protocol_approaches import Approach
from normscan.workflow.protocols import Protocol, parse_protocol

LAYERS = ("brain", "tissue", "anatomy", "lesion")
FOLDER = ROOT / "protocols"
# You et al. 2019.
FOUND = {"tv_weight": 1.8}


def made_scans(
    folder: Path, contrasts: tuple[str, ...], scans: int, slices: int, size: int
) -> Path:
    """Index of a pack of scans: round slices of three nested tissues, with noise."""
    random = np.random.default_rng(0)
    x, y = np.mgrid[:size, :size] / size - 0.5
    radius = random.uniform(0.35, 0.45, (scans * slices, 1, 1))
    depth = np.sqrt(x**2 + y**2) / radius
    brain = (depth < 1).astype(np.uint8)
    tissue = brain * (1 + (depth < 0.85) + (depth < 0.5)).astype(np.uint8)
    level = random.uniform(0.3, 1.0, (len(contrasts), 4))
    clean = level[:, tissue].transpose(1, 0, 2, 3)
    noisy = (clean + 0.05 * random.standard_normal(clean.shape)) * brain[:, None]
    path = folder / f"{'-'.join(contrasts)}-{scans}-{slices}.json"
    np.save(path.with_suffix(".npy"), noisy.astype(np.float32))
    for name in LAYERS:
        layer = {"brain": brain, "lesion": np.zeros_like(brain)}.get(name, tissue)
        np.save(path.with_suffix(f".{name}.npy"), layer)
    entries = [
        ScanEntry(
            scan=f"made-{number}",
            subject=f"made-{number}",
            session="",
            first=number * slices,
            count=slices,
            z=list(range(slices)),
            shape=(size, size, slices),
            affine=np.eye(4).tolist(),
            brain_voxels=own.sum((1, 2)).tolist(),
            lesion_voxels=[0] * slices,
        )
        for number, own in enumerate(np.split(brain, scans))
    ]
    index = PackIndex("made", path.stem, size, list(contrasts), [], "", {}, {}, entries)
    write_json(path, index.to_json())
    return path


def facts_of(protocol: Protocol, name: str, size: int) -> ModelFacts:
    """What a model of a protocol is built from."""
    model = protocol.models[name]
    return ModelFacts(
        model.family,
        model.settings,
        model.inputs or protocol.contrasts,
        model.targets or protocol.contrasts,
        size,
        model.neighbours,
        {role: facts_of(protocol, other, size) for role, other in model.uses.items()},
    )


def built(facts: ModelFacts, pack: Path) -> BaseModel:
    """A model with new weights; what is fitted without epochs is fitted to made scans."""
    model = facts.build(0, {role: built(used, pack) for role, used in facts.uses.items()})
    if all(model.limits(phase).get("max_epochs") == 0 for phase in model.phases):
        layers = tuple(registry.describe(facts.family)["layers"])
        store = store_of(facts, pack, layers)
        train(model, store, store, seed=0, batch_size=16)
    return model


def store_of(facts: ModelFacts, pack: Path, layers: tuple[str, ...]) -> SliceStore:
    """Slices of made scans as a model sees them."""
    view = {"inputs": facts.inputs, "targets": facts.targets, "neighbours": facts.neighbours}
    return SliceStore([pack], layers=layers, **view)


def ready(
    approach: Approach, protocol: Protocol, packs: Mapping[str, Path], size: int, device
) -> tuple[Detector, SliceStore, int]:
    """A detector, the scan that it is measured on, and the parameters of all its models."""
    described = detectors.describe(approach.detector)
    layers = tuple(described["layers"])
    models: dict[str, BaseModel] = {}
    facts = None
    for role, name in {"": approach.model, **approach.uses}.items():
        if name != "none":
            own = facts_of(protocol, name, size)
            models[role] = built(own, packs["fitted"])
            facts = own if role == "" else facts
    facts = facts or ModelFacts("", {}, protocol.contrasts, protocol.contrasts, size)
    main = models.pop("", None)
    count = sum(p.numel() for one in (main, *models.values()) if one for p in one.parameters())

    found = {key: FOUND[key] for key, value in approach.settings.items() if value == "auto"}
    detector = detectors.prepare(
        approach.detector,
        main,
        device=device,
        contrasts=facts.targets,
        uses=models,
        **{**approach.settings, **found},
    )
    return detector, store_of(facts, packs["measured"], layers), count


def chosen(names: str) -> Iterator[Protocol]:
    """The shipped protocols of these names, or all of them."""
    for path in sorted(FOLDER.glob("*.yaml")):
        if not names or path.stem in names.split():
            protocol, problems = parse_protocol(path.stem, yaml.safe_load(path.read_text()))
            assert protocol is not None, problems
            yield protocol


def main() -> None:
    arguments = options(
        __doc__, size=128, slices=8, volume=74, protocols="", approaches="", skip=""
    )
    device = setup(arguments)
    now, only, skip = CLOCKS[arguments.clock], arguments.approaches.split(), arguments.skip.split()
    with tempfile.TemporaryDirectory() as folder:
        for protocol in chosen(arguments.protocols):
            counts = {"measured": (1, arguments.slices), "fitted": (8, 8)}
            packs = {
                kind: made_scans(Path(folder), protocol.contrasts, *count, arguments.size)
                for kind, count in counts.items()
            }
            rows = []
            for approach in protocol.approaches.values():
                if (only and approach.name not in only) or approach.name in skip or approach.parts:
                    continue
                torch.manual_seed(0)
                detector, store, count = ready(approach, protocol, packs, arguments.size, device)
                scan = store.scan("made/made-0")
                start = now()
                detector.detect(scan, 0)
                seconds = (now() - start) * arguments.volume / arguments.slices
                rows.append(
                    {
                        "approach": approach.name,
                        "title": approach.title,
                        "million parameters": count / 1e6,
                        f"seconds per volume ({arguments.clock})": seconds,
                    }
                )
                print(f"{protocol.name} {approach.name}: {seconds:.3g} s", flush=True)
            table(f"{protocol.name}, {arguments.size} px, {arguments.volume} slices", rows)


if __name__ == "__main__":
    main()
