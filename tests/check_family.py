"""Everything that a model family promises, checked on made slices: for tests and for newcomers.

``check_family(name, folder)`` makes its own cohorts from what the family declares (streams, layers,
contrasts, models it uses), trains it, kills and resumes the training, writes and reads its bundle,
and applies every detector that the family can serve: what comes out must be the same bits, and must
tell made lesions from the rest. What classifies anatomy serves no detector: its label maps must
overlap with those that were made.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score, roc_auc_score

from normscan.detectors import registry as detectors
from normscan.detectors.base import Detector, Tunes
from normscan.evaluation.sweeps import tuning_table
from normscan.files import write_json
from normscan.models import registry
from normscan.models.base import TRAINING, BaseModel
from normscan.models.capabilities import ClassifiesAnatomy
from normscan.slices.batch import Batch
from normscan.slices.index import PackIndex, ScanEntry
from normscan.slices.store import SliceStore
from normscan.streams import ALL, LESION_FREE, PSEUDO
from normscan.training.bundle import ModelFacts, load_bundle, save_bundle
from normscan.training.loop import train

# A family's own literals ``CHECKED_AT`` (pixels) and ``CHECKED_WITH`` (settings) go before these.
SIZE = 16
CONTRASTS = ["T1w", "FLAIR"]
SMALL: dict[str, Any] = {
    "latent": 8,
    "learning_rate": 2e-3,
    "batch_size": 8,
    "max_epochs": 12,
    "gan_steps": 75,
}
# Detectors' settings that take their time.
FEW = {"steps": 30, "step_size": 0.02, "samples": 4, "tv_weight": 0.0}
# Layers that say where lesions are, or may be.
LABELS = {"lesion", PSEUDO}
# Better than chance, by so much: of made lesions nobody knows how well they should be found.
FOUND = 0.6


class Interrupted(Exception):
    """Stands for the end of a job."""


class BreakingStore(SliceStore):
    """A store whose job dies when a batch is asked for the n-th time."""

    dies_at, read = -1, 0

    def batch(self, numbers: np.ndarray) -> Batch[np.ndarray]:
        if self.read == self.dies_at:
            raise Interrupted
        self.read += 1
        return super().batch(numbers)


def made_pack(
    folder: Path, cohort: str, scans: int, lesions: bool, seed: int, size: int = SIZE
) -> Path:
    """The index of a pack of smooth round slices; patients have a square in every other one."""
    random = np.random.default_rng(seed)
    count = 6
    x, y = np.mgrid[:size, :size] / size - 0.5
    radius = random.uniform(0.3, 0.45, (scans * count, 1, 1))
    brain = (x**2 + y**2 < radius**2).astype(np.uint8)
    level = random.uniform(0.6, 1.0, (scans * count, 1, 1))
    flair = level * brain
    t1w = (1.6 - level) * brain
    lesion = np.zeros_like(brain)
    if lesions:
        lesion[::2, 3 * size // 8 : 5 * size // 8, 3 * size // 8 : 5 * size // 8] = 1
    flair = np.where(lesion > 0, 2.5, flair)
    # Three nested tissues.
    depth = np.sqrt(x**2 + y**2) / radius
    tissue = brain * (1 + (depth < 0.8) + (depth < 0.5)).astype(np.uint8)
    path = folder / f"{cohort}.json"
    np.save(path.with_suffix(".npy"), np.stack([t1w, flair], axis=1).astype(np.float32))
    # What another approach might detect: a lesion without its edge, and something beside it.
    pseudo = np.zeros_like(brain)
    pseudo[:, 1:-1, 1:-1] = lesion[:, 1:-1, 1:-1] & lesion[:, 2:, 1:-1] & lesion[:, 1:-1, 2:]
    if lesions:
        pseudo[1::6, size // 4, size // 4 : size // 4 + 2] = 1
    layers = {"brain": brain, "lesion": lesion, "tissue": tissue, "anatomy": tissue, PSEUDO: pseudo}
    for name, layer in layers.items():
        np.save(path.with_suffix(f".{name}.npy"), layer)
    entries = [
        ScanEntry(
            scan=f"sub-{number}",
            subject=str(number),
            session="",
            first=number * count,
            count=count,
            z=list(range(count)),
            shape=(size, size, count),
            affine=np.eye(4).tolist(),
            brain_voxels=brain[number * count : (number + 1) * count].sum((1, 2)).tolist(),
            lesion_voxels=lesion[number * count : (number + 1) * count].sum((1, 2)).tolist(),
            content={"FLAIR": f"{cohort} {number}"},
        )
        for number in range(scans)
    ]
    index = PackIndex(cohort, path.stem, size, CONTRASTS, [], "", {"made": True}, {}, entries)
    write_json(path, index.to_json())
    return path


class Cohorts:
    """Packs of healthy people and of patients, for training, validation and test."""

    def __init__(self, folder: Path, size: int = SIZE):
        self.folder, self.size = folder, size
        self.packs = {
            name: made_pack(folder, name, scans, lesions, seed, size)
            for seed, (name, scans, lesions) in enumerate(
                [
                    ("healthy", 4, False),
                    ("held_out", 1, False),
                    ("patients", 4, True),
                    ("held_out_patients", 1, True),
                    ("tested", 2, True),
                ]
            )
        }

    def store(self, name: str, kind: type[SliceStore] = SliceStore, **view: Any) -> SliceStore:
        """Slices of one of them."""
        return kind([self.packs[name]], **view)


def small_settings(family: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete settings with which a family learns in seconds."""
    known = registry.describe(family)["settings"]
    own = getattr(registry.load(family), "CHECKED_WITH", {})
    return {**known, **{k: v for k, v in SMALL.items() if k in known}, **own, **(changes or {})}


def check_family(
    family: str, folder: Path, changes: Mapping[str, Any] | None = None, all_find: bool = True
) -> dict[str, float]:
    """Insist on everything that a registered family must do; how well detectors find lesions.

    Parameters
    ----------
    changes : settings other than those of :func:`small_settings`.
    all_find : whether every detector must find the lesions, or the best of them.

    Returns
    -------
    detector -> AUROC of made lesions, of pixels or (``slice``) of slices; ``anatomy`` -> mean Dice
    of the classes that a family segments.
    """
    cohorts = Cohorts(folder, getattr(registry.load(family), "CHECKED_AT", SIZE))
    settings = small_settings(family, changes)
    facts, uses = model_facts(family, settings, folder, cohorts)
    model, history = trained(facts, uses, cohorts, None)
    stopped = Path(folder, "checkpoints")
    with suppress(Interrupted):
        trained(facts, uses, cohorts, stopped, dies_at=10)
    resumed, again = trained(facts, uses, cohorts, stopped)
    assert again == history, "a training that was killed has another history"
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), f"killed and resumed: {name}"
    files = folder / "weights.safetensors", folder / "bundle.json"
    save_bundle(*files, model, facts, fingerprint={}, scans={}, seed=1, history=history)
    loaded, description = load_bundle(*files)
    assert ModelFacts.from_json(description).to_json() == facts.to_json()
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), f"written and read: {name}"
    found = scores(family, settings, facts, loaded, cohorts, folder)
    assert found, f"nothing can be done with family '{family}': no detector, no other use"
    needed = min if all_find else max
    assert needed(found.values()) > FOUND, found
    return found


def model_facts(
    family: str, settings: dict[str, Any], folder: Path, cohorts: Cohorts
) -> tuple[ModelFacts, dict[str, BaseModel]]:
    """What the model is built from, with the models that it uses, trained."""
    described = registry.describe(family)
    uses, used_facts = {}, {}
    for role, needs in described["uses"].items():
        other = able_family(needs)
        used_facts[role], below = model_facts(other, small_settings(other), folder, cohorts)
        uses[role], _ = trained(used_facts[role], below, cohorts, None)
    inputs = ("T1w",) if described["translates"] else ("FLAIR",)
    targets = ("FLAIR",)
    if described["least_contrasts"] > 1:
        inputs = targets = tuple(CONTRASTS)
    return ModelFacts(family, settings, inputs, targets, cohorts.size, 0, used_facts), uses


def able_family(needs: set[str]) -> str:
    """The first family that can do all of this and uses no other."""
    for name in registry.families():
        able = registry.capabilities(name, small_settings(name))
        described = registry.describe(name)
        if needs <= able and not described["uses"] and described["least_contrasts"] == 1:
            return name
    raise AssertionError(f"no family can {needs}")


def other_model(needs: set[str], folder: Path, cohorts: Cohorts) -> BaseModel | None:
    """A trained model of the first family that can do all of this; None: nothing is needed."""
    if not needs:
        return None
    family = able_family(needs)
    facts, uses = model_facts(family, small_settings(family), folder, cohorts)
    return trained(facts, uses, cohorts, None)[0]


def trained(
    facts: ModelFacts,
    uses: Mapping[str, BaseModel],
    cohorts: Cohorts,
    checkpoints: Path | None,
    dies_at: int = -1,
) -> tuple[BaseModel, list[dict[str, Any]]]:
    """A model trained on the streams that its family declares, and its history."""
    described = registry.describe(facts.family)
    view = {"inputs": facts.inputs, "targets": facts.targets}
    lead, *beside = described["streams"]
    layers = described["stream_layers"]
    # What learns from lesions needs some.
    names = ("patients", "held_out_patients") if layers[lead] & LABELS else ("healthy", "held_out")
    store = cohorts.store(names[0], BreakingStore, **view, layers=layers[lead])
    assert isinstance(store, BreakingStore)
    store.dies_at = dies_at
    others = {
        name: cohorts.store(
            "patients",
            slices=ALL if layers[name] & LABELS else LESION_FREE,
            **view,
            layers=layers[name],
        )
        for name in beside
    }
    model = facts.build(1, uses)
    options = {name: facts.settings[name] for name in TRAINING if name in facts.settings}
    history = train(
        model,
        store,
        cohorts.store(names[1], **view, layers=layers[lead]),
        others=others,
        seed=1,
        checkpoint=checkpoints,
        **options,
    )
    return model, history


def scores(
    family: str,
    settings: dict[str, Any],
    facts: ModelFacts,
    model: BaseModel,
    cohorts: Cohorts,
    folder: Path,
) -> dict[str, float]:
    """AUROC of made lesions by every detector that the family can serve.

    Detectors that use several models are asked of families that have a role beside the main one.
    """
    able, found = registry.capabilities(family, settings), {}
    for name in detectors.names():
        described = detectors.describe(name)
        uses, main = {}, model
        if described["uses"]:
            if not any(needs <= able for needs in described["uses"].values()):
                continue
            main = other_model(described["needs"], folder, cohorts)
            for role, needs in described["uses"].items():
                uses[role] = model if needs <= able else other_model(needs, folder, cohorts)
        elif not described["needs"] or not described["needs"] <= able:
            continue
        few = {key: value for key, value in FEW.items() if key in described["settings"]}
        device = torch.device("cpu")
        prepare = partial(
            detectors.prepare, name, main, device=device, contrasts=facts.targets, uses=uses
        )
        detector = prepare(**few)
        if "auto" in {**described["settings"], **few}.values():
            assert isinstance(detector, Tunes), name
            view = {"inputs": facts.inputs, "targets": facts.targets}
            healthy = cohorts.store("held_out", layers=described["layers"], **view)
            settings, record = detector.tune(healthy)
            tried = tuning_table({name: {"settings": settings, **record}})
            assert set(tried["setting"]) == set(settings), name
            detector = prepare(**few, **settings)
        assert isinstance(detector, Detector)
        layers = described["layers"] | {"brain", "lesion"}
        store = cohorts.store("tested", inputs=facts.inputs, targets=facts.targets, layers=layers)
        own = {f"{name}{level}": value for level, value in areas(name, detector, store).items()}
        # Made lesions are flat: a detector of structure runs, but need not find them.
        if getattr(detectors.load(name), "FINDS_FLAT", True):
            found |= own
    if "classify_anatomy" in able:
        view = {"inputs": facts.inputs, "targets": facts.targets}
        found["anatomy"] = overlap(model, cohorts.store("tested", layers=["anatomy"], **view))
    return found


def overlap(model: BaseModel, store: SliceStore) -> float:
    """Mean Dice of the anatomical classes (background aside) with those that were made."""
    batch = store.batch(np.arange(len(store)))
    assert isinstance(model, ClassifiesAnatomy)
    with torch.no_grad():
        found, again = (model.classify_anatomy(torch.from_numpy(batch.slices)) for _ in range(2))
    assert torch.equal(found, again), "other bits in a second run"
    torch.testing.assert_close(found.sum(dim=1), torch.ones(found[:, 0].shape))
    truth = batch.layers["anatomy"].ravel()
    labels = list(range(1, found.shape[1]))
    return float(f1_score(truth, found.argmax(dim=1).ravel(), labels=labels, average="macro"))


def areas(name: str, detector: Detector, store: SliceStore) -> dict[str, float]:
    """AUROC of pixels ("") and of slices (" slice"), as far as a detector scores them."""
    pixels, slices = ([], []), ([], [])
    for scan in store.scans:
        batch = store.scan(scan)
        detection, again = (detector.detect(batch, 0) for _ in range(2))
        lesion, brain = batch.layers["lesion"] > 0, batch.layers["brain"] > 0
        for one, other in (
            (detection.map, again.map),
            (detection.scores, again.scores),
            (detection.reconstruction, again.reconstruction),
            (detection.uncertainty, again.uncertainty),
        ):
            assert (one is None) == (other is None), name
            if one is not None and other is not None:
                assert one.dtype == np.float32 and np.isfinite(one).all(), name
                assert one.tobytes() == other.tobytes(), f"{name}: other bits in a second run"
        if detection.map is not None:
            assert detection.map.shape == brain.shape
            pixels[0].append(lesion[brain])
            pixels[1].append(np.abs(detection.map)[brain])
        if detection.scores is not None:
            assert detection.scores.shape == (len(batch),)
            slices[0].append(lesion.any(axis=(1, 2)))
            slices[1].append(detection.scores)
    return {
        level: float(roc_auc_score(*map(np.concatenate, pairs)))
        for level, pairs in (("", pixels), (" slice", slices))
        if pairs[0]
    }
