"""The semi-supervised FCN: overlap, drawn features, what is learnt from which domain."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair, tensors
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.metrics.pairwise import cosine_distances

from normscan.detectors import registry as detectors
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.parts.overlap import dice_losses
from normscan.models.parts.pairs import draw_places, embedding_loss
from normscan.training.loop import train

SMALL = {"depth": 2, "width": 4, "samples": 40}


def made(**settings):
    return registry.build("semi_fcn", (1, 1, 16), seed=1, **(SMALL | settings))


def both(seed=0):
    """Labelled slices, and darker ones of another domain."""
    other = tensors(flair(count=8, seed=seed + 1, lesions=True, gain=0.6))
    return replace(tensors(flair(count=8, seed=seed, lesions=True)), others={"unlabelled": other})


def losses(model, batch):
    torch.manual_seed(0)
    return model.losses(batch)


def test_dice_of_hard_masks_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    masks, truth = random.random((2, 4, 5000)) > 0.6
    found = dice_losses(torch.from_numpy(masks).float(), torch.from_numpy(truth).float())
    expected = [1 - f1_score(t, m) for t, m in zip(truth, masks)]
    np.testing.assert_allclose(found, expected, atol=5e-4)


def test_nothing_found_where_nothing_is_has_no_loss():
    found = dice_losses(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.zeros(2, 2))
    torch.testing.assert_close(found, torch.tensor([0.0, 2 / 3]))


def test_embedding_loss_is_that_of_every_pair():
    random = np.random.default_rng(0)
    features, classes, margin = random.normal(size=(9, 4)), random.integers(0, 2, 9), 0.8
    distance, terms = cosine_distances(features), []
    for i in range(9):
        for j in set(range(9)) - {i}:
            alike, d = classes[i] == classes[j], distance[i, j]
            terms.append(d**2 if alike else max(0, margin - d) ** 2)
    own = torch.from_numpy(classes)
    found = embedding_loss(torch.from_numpy(features), own[:, None] == own[None], margin)
    assert found.item() == pytest.approx(np.mean(terms))


def test_embedding_loss_moves_classes_apart():
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    own = torch.arange(20) < 6
    adjacent = own[:, None] == own[None]
    optimiser = torch.optim.Adam([features], lr=0.1)
    for _ in range(400):
        optimiser.zero_grad()
        loss = embedding_loss(features, adjacent, 1.0)
        loss.backward()
        optimiser.step()
    distance = cosine_distances(features.detach())
    assert distance[adjacent].max() < 0.05 and distance[~adjacent].min() > 0.95


def test_places_are_drawn_with_their_share_and_where_it_is_allowed():
    torch.manual_seed(0)
    positive = torch.rand(4, 30, 30) < 0.3
    allowed = torch.rand(4, 30, 30) < 0.5
    places = draw_places(positive, allowed, 100, 0.2)
    assert len(places) == len(set(places.tolist())) == 100
    assert allowed.flatten()[places].all()
    assert positive.flatten()[places].tolist() == [True] * 20 + [False] * 80
    again = draw_places(positive, allowed, 100, 0.2)
    assert set(again.tolist()) != set(places.tolist())
    few = torch.zeros(4, 30, 30, dtype=torch.bool)
    few[0, 0, :3] = True
    assert len(draw_places(few, torch.ones_like(few), 100, 0.2)) == 83
    assert len(draw_places(few, torch.zeros_like(few), 100, 0.2)) == 0


def test_labels_of_the_second_stream_are_never_used():
    batch, model = both(), made()
    other = batch.others["unlabelled"]
    lies = {**other.layers, "lesion": 1 - other.layers["lesion"]}
    lied = replace(batch, others={"unlabelled": replace(other, layers=lies)})
    assert losses(model, batch) == losses(model, lied)


def test_the_loss_is_overlap_plus_weighted_embedding():
    found = losses(made(embedding_weight=0.3), both())
    torch.testing.assert_close(found["loss"], found["overlap"] + 0.3 * found["embedding"])


def test_overlap_is_of_labelled_slices():
    model, batch = made().eval(), both()
    truth = (batch.layers["lesion"] > 0).float()
    expected = dice_losses(model.segment(batch.slices).reshape(1, -1), truth.reshape(1, -1))
    torch.testing.assert_close(losses(model, batch)["overlap"], expected[0])
    each = model.validation_loss("adaptation", batch)
    torch.testing.assert_close(
        each, dice_losses(model.segment(batch.slices).flatten(1), truth.flatten(1))
    )


def test_slices_without_brain_have_no_embedding_loss():
    batch = both()
    batch.layers["brain"].zero_()
    batch.others["unlabelled"].layers["brain"].zero_()
    assert losses(made(), batch)["embedding"] == 0


def test_the_second_domain_counts_from_the_second_phase_on():
    def after_a_step(phase, seed):
        model, batch = made(learning_rate=1e-2), both()
        model.training_mode(phase)
        other = tensors(flair(count=8, seed=seed, gain=0.6, lesions=True))
        torch.manual_seed(0)
        update = Updates(model.optimisers(phase))
        model.training_step(phase, replace(batch, others={"unlabelled": other}), update)
        return model.network.down[0][0].weight

    assert torch.equal(after_a_step("supervised", 5), after_a_step("supervised", 6))
    assert not torch.equal(after_a_step("adaptation", 5), after_a_step("adaptation", 6))


def test_lesions_of_the_other_domain_are_found():
    model = made(learning_rate=1e-2)
    labelled, dark = (HeldBatch(flair(seed=n, lesions=True, gain=g)) for n, g in ((0, 1), (1, 0.8)))
    held_out = HeldBatch(flair(count=8, seed=2, lesions=True))
    options = {"seed": 1, "batch_size": 8, "max_epochs": 20, "patience": 20}
    history = train(model, labelled, held_out, others={"unlabelled": dark}, **options)
    assert {row["phase"] for row in history} == {"supervised", "adaptation"}
    scan, device = flair(count=8, seed=3, lesions=True, gain=0.8), torch.device("cpu")
    found = detectors.prepare("segmentation", model, device=device, contrasts=["FLAIR"])
    probability = found.detect(scan, 0).map
    assert probability.shape == (8, 16, 16) and probability.dtype == np.float32
    assert probability.min() >= 0 and probability.max() <= 1
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], probability[brain]) > 0.9
