"""VQ-VAE: nearest entries, straight-through gradients, moving averages, revival, code maps."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair, tensors
from scipy.spatial.distance import cdist

from normscan.models import registry
from normscan.models.parts.codebook import DEAD, Codebook, straight_through
from normscan.networks import registry as networks
from normscan.plugins import complete_settings
from normscan.training.loop import train

SPATIAL = [
    name
    for name in networks.having({"encoder", "decoder"})
    if "spatial" in networks.describe(name)["bottlenecks"]
]


def made(**settings):
    settings = {"codes": 6, "latent": 3, **settings}
    return registry.build("vqvae", (1, 1, 16), seed=1, **settings)


def filled(codes=6, length=3, **options):
    """A codebook of random entries that are all in use."""
    book = Codebook(codes, length, **options)
    book.entries.normal_(generator=torch.Generator().manual_seed(0))
    book.counts.fill_(10.0)
    book.sums.copy_(10 * book.entries)
    return book


def vectors(count=4, length=3, side=2, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, length, side, side, generator=generator)


def rows(found):
    return found.permute(0, 2, 3, 1).flatten(0, 2).numpy()


def test_the_nearest_entry_is_that_of_scipy():
    book, given = filled(40, 7), vectors(20, 7, 5)
    codes = book.nearest(given)
    expected = cdist(rows(given), book.entries.numpy()).argmin(axis=1)
    np.testing.assert_array_equal(codes.flatten().numpy(), expected)
    assert codes.shape == (20, 5, 5) and codes.dtype == torch.int64
    np.testing.assert_array_equal(rows(book.look_up(codes)), book.entries.numpy()[expected])


def test_half_precision_chooses_no_other_entries():
    book, given = filled(200, 16), vectors(20, 16, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(book.nearest(given), book.nearest(given.float()))
        found = book.nearest(given)
    assert torch.equal(found, book.nearest(given))


def test_gradients_pass_straight_through():
    given, entries, weights = vectors(seed=1).requires_grad_(), vectors(seed=2), vectors(seed=3)
    found = straight_through(given, entries)
    torch.testing.assert_close(found, entries)
    (weights * found**2).sum().backward()
    torch.testing.assert_close(given.grad, 2 * weights * entries)


def test_the_commitment_draws_vectors_to_their_entries():
    model, slices = made(commitment=0.7), tensors(flair(count=5))
    model.codebook = filled()
    model.decoder = Nothing()
    given = vectors(5).requires_grad_()
    codes = model.codebook.nearest(given)
    losses = model._losses(slices, given, codes)
    losses["loss"].backward()
    distance = given.detach() - model.codebook.look_up(codes)
    torch.testing.assert_close(given.grad, 0.7 * 2 * distance / 5)
    error = slices.slices.abs().sum() / 5
    torch.testing.assert_close(losses["loss"], error + 0.7 * losses["distance"])


class Nothing(torch.nn.Module):
    """Decodes everything as an empty slice."""

    def forward(self, code):
        return torch.zeros(len(code), 1, 16, 16)


def test_entries_are_moving_averages_of_what_falls_to_them():
    book = filled(decay=0.9)
    counts, sums = book.counts.double().numpy(), book.sums.double().numpy()
    for seed in (7, 8, 9):
        given = vectors(6, seed=seed)
        codes = book.nearest(given)
        flat, chosen = rows(given).astype(float), codes.flatten().numpy()
        for entry in range(6):
            own = flat[chosen == entry]
            counts[entry] = 0.9 * counts[entry] + 0.1 * len(own)
            sums[entry] = 0.9 * sums[entry] + 0.1 * own.sum(axis=0)
        book.follow(given, codes)
        np.testing.assert_allclose(book.entries, sums / counts[:, None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(book.counts, counts, rtol=1e-5)


def test_entries_that_nothing_falls_to_are_revived_on_vectors_of_the_batch():
    def revived(seed):
        book, given = filled(decay=0.5), vectors(6)
        book.entries[2] = 100.0
        book.counts[2] = DEAD * 24 / 6
        before = book.entries.clone()
        torch.manual_seed(seed)
        book.follow(given, book.nearest(given))
        return book, before, rows(given)

    book, before, given = revived(0)
    distance = cdist(book.entries.numpy(), given).min(axis=1)
    assert distance[2] < 1e-6 and book.counts[2] == 24 / 6
    # Those in use are no vectors of the batch, and where their averages have brought them.
    others = [0, 1, 3, 4, 5]
    assert (distance[others] > 1e-3).all() and (book.entries[others] - before[others]).norm() > 0
    same, other = revived(0)[0], [revived(seed)[0] for seed in range(1, 6)]
    assert torch.equal(book.entries, same.entries)
    assert any(not torch.equal(book.entries[2], one.entries[2]) for one in other)
    assert all(torch.equal(book.entries[others], one.entries[others]) for one in other)


def test_the_first_batch_fills_the_codebook():
    model, batch = made(), tensors(flair(count=8))
    model.start_phase("main", lambda: iter([batch]))
    with torch.no_grad():
        given = rows(model.train().encoder(batch.slices)[0])
    assert cdist(model.codebook.entries.numpy(), given).min(axis=1).max() < 1e-5
    assert (model.codebook.counts > 0).all()


def test_the_codebook_is_learned_without_gradients_and_kept():
    model = made()
    assert not list(model.codebook.parameters())
    kept = {f"codebook.{name}" for name in ("entries", "counts", "sums")}
    assert kept <= set(model.state_dict())
    before = model.codebook.entries.clone()
    store = HeldBatch(flair(count=16))
    train(model, store, store, seed=1, batch_size=8, max_epochs=2)
    assert not torch.equal(model.codebook.entries, before)
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.parametrize("network", SPATIAL)
def test_maps_of_codes_are_all_that_is_decoded(network):
    model = registry.build("vqvae", (2, 2, 32), network=network, codes=9, latent=4).eval()
    model.codebook = filled(9, 4)
    slices = torch.rand(3, 2, 32, 32)
    with torch.no_grad():
        codes = model.code_maps(slices)
        assert torch.equal(model.decode_codes(codes), model.reconstruct(slices))
    number, *grid = model.code_grid()
    assert number == 9 and list(codes.shape) == [3, *grid]
    assert codes.min() >= 0 and codes.max() < 9


def problems_of(**given):
    module = registry.load("vqvae")
    settings, problems = complete_settings(given, module.SETTINGS, module.ALLOWED, "models.m")
    return problems + registry.network_problems("vqvae", settings, "models.m")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"codes": 1}, "models.m.codes: found 1"),
        ({"latent": 0}, "models.m.latent: found 0"),
        ({"commitment": -1}, "models.m.commitment: found -1"),
        ({"decay": 1.0}, "models.m.decay: found 1.0"),
        ({"bottleneck": "dense"}, "models.m.bottleneck: found 'dense'"),
        ({"network": "chen2018"}, "network chen2018 has: dense"),
    ],
)
def test_impossible_settings_are_refused_when_planning(setting, expected):
    problems = problems_of(**setting)
    assert problems and any(expected in problem for problem in problems)
    assert problems_of() == []
