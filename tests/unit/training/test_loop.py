"""What the loop does with a model: phases, early stopping, losses, divergence, random numbers."""

import numpy as np
import pytest
import torch
from toys import MadeStore, MeanSlice, build_adversarial

from normscan.errors import ConfigError, TrainingError
from normscan.models import registry
from normscan.models.base import BaseModel, Updates, adam
from normscan.slices.batch import Batch, SliceShape
from normscan.training.curve import best_epochs, history_table
from normscan.training.loop import train
from normscan.training.stopping import SETTLING_STEPS, EarlyStopping


class Scripted(BaseModel):
    """Its validation losses are written down beforehand."""

    def __init__(self, losses, steps_before=SETTLING_STEPS):
        super().__init__(SliceShape(1, 1, 16))
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.script = losses
        self.seen = 0

    def optimisers(self, phase):
        return {"main": torch.optim.SGD([self.weight], lr=1.0)}

    def losses(self, batch):
        return {"loss": -self.weight.sum()}

    def validation_loss(self, phase, batch):
        loss = self.script[min(self.seen, len(self.script) - 1)]
        self.seen += 1
        return torch.full((len(batch),), loss)


def scripted(losses, **options):
    # As many batches in an epoch as it takes for early stopping to count.
    model, store = Scripted(losses), MadeStore(SETTLING_STEPS, size=8)
    options = {"seed": 0, "batch_size": 1, "max_epochs": 12, "patience": 2, **options}
    validation = MadeStore(1, size=8)
    return model, train(model, store, validation, **options)


def test_training_ends_after_patience_and_keeps_the_best_weights():
    model, history = scripted([5.0, 4.0, 3.0, 3.5, 3.0, 1.0])
    assert [row["validation"] for row in history] == [5.0, 4.0, 3.0, 3.5, 3.0]
    assert [row["best"] for row in history] == [True, True, True, False, False]
    # One step of SGD adds one.
    assert model.weight.item() == 3 * SETTLING_STEPS
    assert best_epochs(history) == {"main": 3}
    assert not model.training


def test_an_improvement_below_the_papers_epsilon_does_not_count():
    _, history = scripted([1.0, 1.0 - 5e-9, 1.0 - 6e-9])
    assert len(history) == 3
    assert [row["best"] for row in history] == [True, False, False]


def test_training_ends_at_the_last_epoch():
    _, history = scripted([5.0, 4.0, 3.0, 2.0], max_epochs=3)
    assert len(history) == 3


def test_early_stopping_waits_for_the_first_steps():
    stopping = EarlyStopping(patience=2)
    for epoch in range(1, 6):
        stopping.update(float(epoch), epoch, steps=epoch)
    assert not stopping.over and stopping.best_epoch == 1
    stopping.update(9.0, 6, SETTLING_STEPS)
    stopping.update(9.0, 7, SETTLING_STEPS + 1)
    assert stopping.over


@pytest.mark.parametrize("family", ["ae", "vae"])
def test_models_learn(family):
    model = registry.build(family, (1, 1, 16), latent=8, learning_rate=3e-3)
    options = {"seed": 0, "batch_size": 16, "max_epochs": 25}
    history = train(model, MadeStore(64), MadeStore(16, seed=5), **options)
    assert min(row["validation"] for row in history) < 0.4 * history[0]["validation"]
    unseen = torch.from_numpy(MadeStore(8, seed=9).slices)
    with torch.no_grad():
        error = (model.reconstruct(unseen) - unseen).abs().mean()
    assert error < 0.5 * unseen.abs().mean()


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    def weights(seed):
        model = registry.build("vae", (1, 1, 16), seed=seed, latent=8)
        train(model, MadeStore(), MadeStore(6), seed=seed, batch_size=5, max_epochs=2)
        return torch.cat([one.flatten().float() for one in model.state_dict().values()])

    before = torch.get_rng_state()
    one, same, other = weights(1), weights(1), weights(2)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_history_is_the_mean_over_slices():
    settings = {"latent": 8, "learning_rate": 0.0, "dropout": 0.0}
    model = registry.build("ae", (1, 1, 16), **settings)
    store = MadeStore(10)
    with torch.no_grad():
        model.eval()
    train_mode = registry.build("ae", (1, 1, 16), **settings).train()
    history = train(model, store, MadeStore(6, seed=1), seed=0, batch_size=10, max_epochs=1)
    with torch.no_grad():
        losses = train_mode.losses(Batch.of(torch.from_numpy(store.slices)))
        held_out = torch.from_numpy(MadeStore(6, seed=1).slices)
        error = (model.reconstruct(held_out) - held_out).abs().mean()
    assert history[0]["loss"] == pytest.approx(losses["loss"].item(), rel=1e-5)
    assert history[0]["validation"] == pytest.approx(error.item(), rel=1e-5)


def test_the_adversarial_model_goes_through_its_phases():
    model, store = build_adversarial(1, 16), MadeStore()
    generator = model.generator[0].weight.detach().clone()
    history = train(model, store, MadeStore(6), seed=0, batch_size=5, max_epochs=4)
    # Ten steps, of which four are an epoch.
    table = history_table(history)
    assert table["phase"].tolist() == ["gan"] * 3 + ["encoder"] * 4
    assert table["epoch"].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert table[table["phase"] == "gan"]["validation"].isna().all()
    assert {"critic", "penalty", "reconstruction"} <= set(table.columns)
    assert model.finished == 2
    torch.testing.assert_close(model.average, torch.from_numpy(store.slices).mean(0))
    assert not torch.equal(model.generator[0].weight, generator)


class Budgeted(Scripted):
    """A phase of ``steps`` steps without early stopping; remembers how many slices it saw."""

    def __init__(self, steps):
        super().__init__([])
        self.steps, self.sizes = steps, []

    def limits(self, phase):
        return {} if self.steps is None else {"max_steps": self.steps}

    def training_step(self, phase, batch, update):
        assert update.step == len(self.sizes)
        self.sizes.append(len(batch))
        return {"one": torch.ones(()), **super().training_step(phase, batch, update)}

    def validation_loss(self, phase, batch):
        return None


@pytest.mark.parametrize(("slices", "epochs"), [(2, 7), (6, 4), (8, 4), (20, 2), (28, 1), (90, 1)])
def test_a_budget_of_steps_is_spent_whatever_the_number_of_slices(slices, epochs):
    """Seven steps of at most four slices: in several epochs, up to their end or inside one."""
    model, options = Budgeted(7), {"seed": 0, "batch_size": 4, "max_epochs": 1}
    history = train(model, MadeStore(slices, size=8), MadeStore(1, size=8), **options)
    assert len(model.sizes) == 7 and model.weight.item() == 7
    assert [row["epoch"] for row in history] == list(range(1, epochs + 1))
    # Means are over the slices that were seen.
    assert [row["one"] for row in history] == pytest.approx([1] * epochs)
    # SGD adds one in every step, so the losses are 0, -1, ..., -6.
    seen = np.array(model.sizes)
    first = seen[: -(-slices // 4)]
    expected = -(first * np.arange(len(first))).sum() / first.sum()
    assert history[0]["loss"] == pytest.approx(expected)


def test_a_phase_that_nothing_would_end_is_refused():
    with pytest.raises(TrainingError, match="'main' has no validation loss.*max_steps"):
        train(Budgeted(None), MadeStore(4, size=8), MadeStore(1, size=8), seed=0)


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_fanogan_learns_as_long_on_few_subjects_as_on_all(share):
    model = registry.build("fanogan", (1, 1, 16), latent=4, gan_steps=12)
    steps = {"gan": [], "encoder": []}
    step = model.training_step

    def counted(phase, batch, update):
        steps[phase].append(update.step)
        return step(phase, batch, update)

    model.training_step = counted
    options = {"seed": 0, "batch_size": 4, "max_epochs": 2}
    train(model, MadeStore(int(40 * share)), MadeStore(2, seed=1), **options)
    assert steps["gan"] == list(range(12))
    assert len(steps["encoder"]) == 2 * int(10 * share)


def test_frozen_parts_stay_as_they_were():
    model = build_adversarial(1, 16)
    kept = {}

    def finish(phase, batches):
        if phase == "gan":
            parts = [model.generator, model.critic]
            kept.update({id(p): [v.clone() for v in p.state_dict().values()] for p in parts})

    model.finish_phase = finish
    train(model, MadeStore(), MadeStore(6), seed=0, batch_size=5, max_epochs=4)
    for part in (model.generator, model.critic):
        for before, after in zip(kept[id(part)], part.state_dict().values()):
            assert torch.equal(before, after)


def test_an_update_gives_gradients_to_its_own_parameters_only():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    update = Updates({"second": adam(second.parameters(), 0.1)})
    before = first.weight.detach().clone(), second.weight.detach().clone()
    update("second", second(first(torch.ones(3, 2))).sum())
    assert first.weight.grad is None
    assert torch.equal(first.weight, before[0])
    assert not torch.equal(second.weight, before[1])


def test_gradients_can_be_clipped():
    layer = torch.nn.Linear(4, 1)
    update = Updates({"main": torch.optim.SGD(layer.parameters(), lr=1.0)})
    before = torch.cat([p.detach().flatten() for p in layer.parameters()])
    update("main", 100 * layer(torch.ones(1, 4)).sum(), clip=0.5)
    after = torch.cat([p.detach().flatten() for p in layer.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.5, rel=1e-3)


class Diverging(Scripted):
    """Its loss becomes infinite in the third epoch of four steps."""

    def losses(self, batch):
        scale = float("inf") if self.weight.item() >= 8 else 1.0
        return {"loss": -scale * self.weight.sum()}


def test_divergence_names_the_epoch_and_keeps_the_last_good_checkpoint(tmp_path):
    store = MadeStore(20, size=8)
    options = {"seed": 0, "batch_size": 5, "max_epochs": 9, "checkpoint": tmp_path}
    message = "diverged in epoch 3 of phase 'main': loss is -inf.*learning_rate.*kept in"
    with pytest.raises(TrainingError, match=message):
        train(Diverging([3.0, 2.0, 1.0]), store, MadeStore(1, size=8), **options)
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["000000001", "000000002"]
    with pytest.raises(TrainingError, match="in epoch 3 of"):
        train(Diverging([3.0, 2.0, 1.0]), store, MadeStore(1, size=8), **options)


def test_a_validation_loss_that_is_not_a_number_is_refused():
    with pytest.raises(TrainingError, match="epoch 2 .* validation is nan"):
        scripted([1.0, float("nan")])


def test_every_slice_is_seen_once_in_an_epoch_and_augmented():
    seen = []

    class Watching(Scripted):
        def losses(self, batch):
            seen.append(batch.slices.clone())
            return super().losses(batch)

    store = MadeStore(11, size=8)
    options = {"seed": 0, "batch_size": 4, "max_epochs": 1}
    options["augment"] = lambda batch, numbers, key: Batch.of(batch.slices + 1)
    train(Watching([1.0]), store, MadeStore(1, size=8), **options)
    found = np.sort(torch.cat(seen).numpy().sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(found, np.sort((store.slices + 1).sum(axis=(1, 2, 3))), rtol=1e-6)


def test_half_precision_learns_too():
    model = registry.build("vae", (1, 1, 16), latent=8, learning_rate=3e-3)
    options = {"seed": 0, "batch_size": 16, "max_epochs": 10, "precision": "bfloat16"}
    history = train(model, MadeStore(48), MadeStore(8, seed=5), **options)
    assert history[-1]["reconstruction"] < 0.6 * history[0]["reconstruction"]
    assert all(value.dtype != torch.bfloat16 for value in model.state_dict().values())


def test_what_is_only_fitted_has_a_history_of_one_row():
    model = MeanSlice(1, 16)
    (row,) = train(model, MadeStore(), MadeStore(6), seed=0)
    assert row["phase"] == "main" and row["best"] and row["spread"] > 0
    assert row["validation"] is None and len(model.chosen) == 10
    assert history_table([row])["epoch"].tolist() == [1]


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"max_epochs": 0}, {"precision": "half"}])
def test_impossible_options_are_named(option):
    (name,) = option
    with pytest.raises(ConfigError, match=f"{name}: found"):
        scripted([1.0], **option)
