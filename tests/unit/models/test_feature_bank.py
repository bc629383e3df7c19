"""Memory bank: choice of entries, distances, the bound, and features of encoders."""

from itertools import combinations

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair, tensors
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import load_weights
from normscan.models.parts import bank as parts
from normscan.models.parts.bank import cover, draw_vectors, nearest_distance, project
from normscan.models.parts.coding import CodingModel
from normscan.networks import registry as networks
from normscan.training.loop import train


def random_vectors(count, length, seed=0):
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed))


def made(encoder=None, **settings):
    encoder = encoder or registry.build("ae", (1, 1, 16), seed=3, latent=8)
    return registry.build("feature_bank", (1, 1, 16), uses={"features": encoder}, **settings)


def fitted(slices, **settings):
    model, store = made(**settings), HeldBatch(slices)
    return model, train(model, store, store, seed=1, batch_size=7)


CODING = [
    name for name in registry.families() if "embed" in registry.describe(name)["capabilities"]
]
PLACES = [
    (network, bottleneck)
    for network in networks.having({"encoder", "decoder"})
    for bottleneck in networks.describe(network)["bottlenecks"]
]


@pytest.mark.parametrize(("network", "bottleneck"), PLACES)
def test_every_network_with_an_encoder_has_features_of_places(network, bottleneck):
    settings = {"network": network, "bottleneck": bottleneck, "latent": 4}
    model = registry.build("ae", (2, 2, 32), **settings).eval()
    slices = torch.rand(3, 2, 32, 32)
    found = model.embed(slices)
    assert found.ndim == 4 and len(found) == 3 and found.shape[2] == found.shape[3] < 32
    # They are features of places: what is changed on the right does not reach the left edge's.
    changed = slices.clone()
    changed[..., 28:] = 5
    difference = (model.embed(changed) - found).abs().amax(dim=(0, 1, 2))
    assert difference[-1] > 0
    assert difference.argmax() == len(difference) - 1


def test_whatever_has_one_encoder_of_stages_embeds():
    for family in registry.families():
        # Others may embed as well, with features of their own.
        if issubclass(registry.load(family).Model, CodingModel):
            assert "embed" in registry.describe(family)["capabilities"], family


@pytest.mark.parametrize("neighbours", [1, 4])
def test_distances_are_those_of_scikit_learn(neighbours, monkeypatch):
    vectors, bank = random_vectors(5000, 6), random_vectors(300, 6, seed=1)
    expected, _ = NearestNeighbors(n_neighbors=neighbours).fit(bank).kneighbors(vectors)
    whole = nearest_distance(vectors, bank, neighbours)
    np.testing.assert_allclose(whole, expected.mean(axis=1), rtol=1e-5)
    # However few are held at once; the last part of the bank is smaller than ``neighbours``.
    monkeypatch.setattr(parts, "ENTRIES", 99)
    monkeypatch.setattr(parts, "PRODUCTS", 7000)
    assert torch.equal(nearest_distance(vectors, bank, neighbours), whole)


def test_an_entry_is_at_no_distance_of_itself():
    bank = random_vectors(300, 6)
    assert not nearest_distance(bank, bank).any()
    assert torch.equal(
        nearest_distance(bank[:1], bank[1:3], 5), (bank[1:3] - bank[0]).norm(dim=1).mean()[None]
    )


def test_nearest_is_nearest_far_from_the_origin():
    """Products of such vectors are exact to a few units only, where distances are about 1."""
    vectors, bank = (random_vectors(200, 4, seed) + 3000 for seed in (0, 1))
    expected = cdist(vectors, bank).min(axis=1)
    np.testing.assert_allclose(nearest_distance(vectors, bank), expected, rtol=1e-4)


@pytest.mark.parametrize(("vectors", "entries"), [(50_000, 10), (100, 200_000)])
def test_memory_is_bounded_however_many_there_are(vectors, entries, monkeypatch):
    largest, addmm = [], torch.addmm

    def watched(*arguments, **options):
        found = addmm(*arguments, **options)
        largest.append(found.numel())
        return found

    monkeypatch.setattr(torch, "addmm", watched)
    monkeypatch.setattr(parts, "PRODUCTS", 2**16)
    monkeypatch.setattr(parts, "ENTRIES", 2**12)
    found = nearest_distance(random_vectors(vectors, 3), random_vectors(entries, 3, seed=1))
    assert len(found) == vectors and max(largest) <= 2**16


def test_more_neighbours_than_entries_are_refused():
    with pytest.raises(ConfigError, match="nearest: found 9; the bank has at most 8 entries"):
        made(bank_size=8, nearest=9)


def test_a_mean_over_neighbours_is_farther():
    slices = tensors(flair(count=4)).slices
    found = [fitted(flair(count=6), nearest=k)[0].energy(slices) for k in (1, 3)]
    assert (found[1] >= found[0]).all() and (found[1] > found[0]).any()


def test_centres_cover_at_most_twice_as_far_as_the_best():
    for seed in range(20):
        points = random_vectors(9, 2, seed)
        chosen, radius = cover(points, 3)
        distance = cdist(points, points)
        assert radius == pytest.approx(distance[:, chosen].min(axis=1).max(), rel=1e-5)
        best = min(distance[:, list(one)].min(axis=1).max() for one in combinations(range(9), 3))
        assert best <= radius * 1.00001 and radius <= 2.00001 * best


def test_equal_vectors_need_one_entry():
    points = random_vectors(4, 3).repeat(5, 1)
    chosen, radius = cover(points, 10)
    assert sorted(chosen.remainder(4).tolist()) == [0, 1, 2, 3] and radius == 0


def test_every_vector_is_drawn_as_often():
    """Whatever part it comes in; each count is binomial."""
    torch.manual_seed(0)
    parts = [torch.arange(a, b)[:, None] for a, b in ((0, 2), (2, 17), (17, 20))]
    drawn = [draw_vectors(parts, 5) for _ in range(2000)]
    assert all(len(set(one.flatten().tolist())) == 5 for one in drawn)
    counts = torch.cat(drawn).flatten().bincount(minlength=20).double()
    assert ((counts - 500).abs() < 5 * (2000 * 0.25 * 0.75) ** 0.5).all()
    assert torch.equal(draw_vectors(parts, 20), torch.arange(20)[:, None])


def test_no_more_vectors_are_held_than_wanted():
    seen = []

    def parts():
        for start in range(0, 100, 10):
            seen.append(start)
            yield torch.arange(start, start + 10.0)[:, None]

    assert len(draw_vectors(parts(), 7)) == 7 and len(seen) == 10


def test_projections_about_keep_distances():
    torch.manual_seed(0)
    vectors = random_vectors(30, 2000)
    ratio = torch.pdist(project(vectors, 500)) / torch.pdist(vectors)
    assert (ratio - 1).abs().max() < 0.2
    assert project(vectors, 2000) is vectors


def test_the_bank_is_bounded_and_of_real_features():
    slices = flair(count=20)
    model, history = fitted(slices, bank_size=30, candidates=200, projected=16)
    assert len(model.bank) == 30 == history[0]["entries"] and history[0]["radius"] > 0
    features = model._features(tensors(slices).slices)
    rows = features.permute(0, 2, 3, 1).flatten(0, 2)
    assert nearest_distance(model.bank, rows).max() < 1e-5


def test_what_is_in_the_bank_has_no_energy():
    slices = flair(count=4)
    model, history = fitted(slices, bank_size=5000)
    assert history[0]["radius"] == 0
    assert model.energy(tensors(slices).slices).max() < 1e-4


def test_energies_are_distances_upsampled():
    model, slices = made(patch=1), torch.rand(2, 1, 16, 16)
    model.bank = random_vectors(3, model.uses["features"].embed(slices).shape[1])
    coarse = model.uses["features"].embed(slices)
    distance = cdist(coarse.permute(0, 2, 3, 1).flatten(0, 2).detach(), model.bank).min(axis=1)
    distance = distance.reshape(2, 8, 8)
    found = model.energy(slices).detach().numpy()
    assert found.shape == (2, 16, 16)
    np.testing.assert_allclose(found[:, 0, 0], distance[:, 0, 0], rtol=1e-4)
    # The pixel's middle is a quarter of a place's side from that of the place at 1, 1.
    weights = np.outer([0.75, 0.25], [0.75, 0.25])
    expected = (distance[:, 1:3, 1:3] * weights).sum(axis=(1, 2))
    np.testing.assert_allclose(found[:, 3, 3], expected, rtol=1e-4)


def test_a_bank_is_loaded_whatever_its_size():
    model, _ = fitted(flair(count=6), bank_size=12)
    other = made()
    load_weights(other, model.state_dict())
    slices = tensors(flair(count=2, seed=5)).slices
    assert other.bank.shape == model.bank.shape and len(model.bank) == 12
    torch.testing.assert_close(other.eval().energy(slices), model.energy(slices))


def test_a_patch_has_a_centre():
    with pytest.raises(ConfigError, match="patch: found 2; must be odd"):
        made(patch=2)


def test_lesions_are_far_from_the_bank():
    encoder = registry.build("ae", (1, 1, 32), seed=1, latent=8, learning_rate=1e-3)
    healthy = HeldBatch(flair(count=24, size=32))
    train(encoder, healthy, HeldBatch(flair(count=8, size=32, seed=1)), seed=1, max_epochs=3)
    used = {"features": encoder}
    model = registry.build("feature_bank", (1, 1, 32), uses=used, bank_size=200)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    train(model, healthy, healthy, seed=1)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    scan = flair(count=12, size=32, seed=2, lesions=True)
    device = torch.device("cpu")
    found = detectors.prepare("pixel_energy", model, device=device, contrasts=["FLAIR"]).detect(
        scan, 0
    )
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], found.map[brain]) > 0.85
