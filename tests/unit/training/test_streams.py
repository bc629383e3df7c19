"""Training on several streams, and with models that were trained before."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import BreakingStore, Interrupted, MadeStore

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import BaseModel, Updates, adam, l1_error
from normscan.slices.batch import SliceShape
from normscan.training.bundle import ModelFacts, load_bundle, save_bundle
from normscan.training.loop import train

OPTIONS = {"seed": 3, "batch_size": 4, "max_epochs": 3, "patience": 9}


class TwoStreams(BaseModel):
    """Adapts a linear model to a second stream; remembers what it saw."""

    def __init__(self, uses=None):
        super().__init__(SliceShape(1, 1, 16), uses=uses)
        self.layer = nn.Linear(256, 256)
        self.seen = []

    def optimisers(self, phase):
        return {"main": adam(self.trainable(), 1e-3)}

    def losses(self, batch):
        other = batch.others["patients"]
        self.seen.append((batch.slices.sum((1, 2, 3)), other.slices.sum((1, 2, 3))))
        errors = [
            (one.targets - self.reconstruct(one.slices)).abs().mean() for one in (batch, other)
        ]
        return {"loss": errors[0] + errors[1]}

    def validation_loss(self, phase, batch):
        return l1_error(self, batch)

    def reconstruct(self, slices):
        return self.layer(slices.flatten(1)).view_as(slices)


def run(model, store, patients, folder=None, **options):
    return train(
        model,
        store,
        MadeStore(3, seed=2),
        others={"patients": patients},
        checkpoint=folder,
        **{**OPTIONS, **options},
    )


def built():
    torch.manual_seed(0)
    return TwoStreams()


def test_a_batch_brings_as_many_slices_of_every_stream():
    model, patients = built(), MadeStore(5, seed=1)
    run(model, MadeStore(10), patients)
    sizes = [(len(one), len(other)) for one, other in model.seen]
    assert sizes == [(4, 4), (3, 3), (3, 3)] * 3
    # Thirty slices of five: each six times, in an order that is another every time.
    seen = torch.cat([other for _, other in model.seen])
    sums = patients.slices.sum(axis=(1, 2, 3))
    numbers = np.abs(seen.numpy()[:, None] - sums).argmin(axis=1).reshape(6, 5)
    np.testing.assert_array_equal(np.sort(numbers, axis=1), np.tile(np.arange(5), (6, 1)))
    assert len({tuple(one) for one in numbers}) > 1


@pytest.mark.parametrize("broken", ["main", "patients"])
@pytest.mark.parametrize("dies_at", [2, 5])
def test_a_killed_training_goes_on_with_the_same_slices_of_every_stream(tmp_path, broken, dies_at):
    whole = built()
    history = run(whole, MadeStore(10), MadeStore(5, seed=1))
    kinds = [BreakingStore if broken == name else MadeStore for name in ("main", "patients")]
    ends = [{"dies_at": dies_at} if kind is BreakingStore else {} for kind in kinds]
    stores = [kinds[0](10, **ends[0]), kinds[1](5, seed=1, **ends[1])]
    with pytest.raises(Interrupted):
        run(built(), *stores, tmp_path, checkpoint_steps=1)
    resumed = built()
    assert run(resumed, MadeStore(10), MadeStore(5, seed=1), tmp_path) == history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_used_model_is_kept_and_never_trained():
    teacher = registry.build("ae", (1, 1, 16), latent=4, seed=5)
    model = TwoStreams({"teacher": teacher})
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    run(model, MadeStore(10), MadeStore(5, seed=1))
    assert "uses.teacher.encoder.stages.0.weight" in model.state_dict()
    for name, value in model.uses["teacher"].state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not model.train().uses["teacher"].training
    assert set(map(id, model.trainable())) == set(map(id, model.layer.parameters()))
    # Updates ask for gradients of what the optimiser has, and of nothing else.
    update = Updates(model.optimisers("main"))
    update("main", model.reconstruct(torch.rand(2, 1, 16, 16)).sum())


def test_a_bundle_holds_the_models_that_its_model_uses(tmp_path, monkeypatch):
    own = {**registry.describe("ae")["settings"], "latent": 4}
    teacher = ModelFacts("ae", own, ("T1w",), ("T1w",), 16)
    facts = ModelFacts("two", {}, ("FLAIR",), ("FLAIR",), 16, 0, {"teacher": teacher})
    build = registry.build

    def build_two(family, shape, *, uses=None, **rest):
        return TwoStreams(uses) if family == "two" else build(family, shape, uses=uses, **rest)

    monkeypatch.setattr(registry, "build", build_two)
    monkeypatch.setattr(registry, "capabilities", lambda *_: {"reconstruct"})
    model = facts.build(1, {"teacher": teacher.build(7)})
    files = tmp_path / "weights.safetensors", tmp_path / "bundle.json"
    save_bundle(*files, model, facts, fingerprint={}, scans={}, seed=1, history=[])
    loaded, description = load_bundle(*files)
    assert description["uses"]["teacher"]["inputs"] == ["T1w"]
    assert ModelFacts.from_json(description).to_json() == facts.to_json()
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    # Its size is that of what was trained.
    assert description["parameters"] == sum(one.numel() for one in model.layer.parameters())


def test_a_family_without_its_models_or_with_other_targets_is_refused():
    with pytest.raises(ConfigError, match="targets: family vae reconstructs its inputs"):
        registry.build("vae", (2, 1, 16))
    with pytest.raises(ConfigError, match="latnet.*did you mean 'latent'"):
        registry.build("vae", (1, 1, 16), latnet=3)
