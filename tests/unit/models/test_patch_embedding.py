"""Patch embedding: every patch at once, triplets, and what is learned from them."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair, tensors
from scipy import ndimage
from torch.nn import functional

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.parts.triplets import Changes, draw_triplets, take
from normscan.networks.folding import simplify_for_inference
from normscan.networks.normalisation import BatchNorm
from normscan.networks.patches import PatchNetwork, fragments, joined, kernels
from normscan.training.loop import train

STILL = Changes(0, 0, 0, 0, 0)
SMALL = {"patch": 8, "filters": [8, 16], "hidden": 32, "embedding": 16}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def made(size=32, **settings):
    return registry.build("patch_embedding", (1, 1, size), seed=1, **{**SMALL, **settings})


def network(patch, filters, channels=2):
    """With statistics of batch norms that are not the first ones."""
    torch.manual_seed(0)
    found = PatchNetwork(channels, patch, filters, 10, 5).eval()
    for one in found.modules():
        if isinstance(one, BatchNorm):
            one.running_mean.normal_()
            one.running_var.uniform_(0.5, 2)
    return found.requires_grad_(False)


def patch_loop(embed, images, patch):
    """Each patch on its own (n, length, rows, columns)."""
    height, width = (side - patch + 1 for side in images.shape[2:])
    found = [
        embed(images[:, :, row : row + patch, column : column + patch]).flatten(1)
        for row in range(height)
        for column in range(width)
    ]
    return torch.stack(found, dim=2).unflatten(2, (height, width))


@pytest.mark.parametrize(
    ("patch", "blocks", "expected"),
    [
        (32, 4, [(3, 3), (3, 1), (3, 1), (1, 1)]),
        (32, 2, [(3, 3), (3, 3)]),
        (8, 2, [(3, 3), (1, 1)]),
        (16, 1, [(3, 3)]),
        (2, 1, [(1, 1)]),
    ],
)
def test_as_many_large_kernels_as_fit(patch, blocks, expected):
    assert kernels(patch, blocks) == expected


def test_the_paper_s_network_has_its_sizes():
    model = registry.build("patch_embedding", (1, 1, 64))
    filters = [one.main[0].out_channels for one in model.network.blocks]
    assert filters == [64, 128, 256, 512]
    hidden, _, last = model.network.perceptron
    assert (hidden.in_channels, hidden.out_channels, last.out_channels) == (512, 1024, 256)
    assert hidden.kernel_size == (1, 1)
    assert model.eval().embed_patches(random(3, 1, 32, 32)).shape == (3, 256, 1, 1)


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("patch", "filters"), [(8, [4, 6]), (16, [4, 5, 6]), (12, [4, 4])])
def test_every_patch_at_once_is_each_patch_on_its_own(patch, filters, stride):
    own = network(patch, filters)
    images = random(2, 2, patch + 13, patch + 6)
    expected = patch_loop(own, images, patch)[:, :, ::stride, ::stride]
    for model in (own, simplify_for_inference(own)):
        torch.testing.assert_close(model(images, stride), expected, atol=2e-5, rtol=1e-4)


def test_a_patch_s_pixels_count_and_no_others_do():
    own, images = network(16, [4, 8, 8]), random(1, 2, 24, 24).requires_grad_()
    (gradient,) = torch.autograd.grad(own(images)[:, :, 3, 5].square().sum(), images)
    seen = (gradient[0] != 0).any(dim=0)
    assert not seen[:3].any() and not seen[:, :5].any()
    assert not seen[19:].any() and not seen[:, 21:].any()
    # Each pooling hands on one of four: of many images every pixel counts.
    many = random(200, 2, 16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(own(many).square().sum(), many)
    assert (gradient != 0).any(dim=0).all()


def test_joined_fragments_are_a_pooling_without_stride():
    features = random(2, 3, 11, 15)
    found = joined(fragments(features), 1)
    torch.testing.assert_close(found, functional.max_pool2d(features, 2, 1))


def test_patches_are_those_of_scipy():
    slices = random(2, 1, 20, 24)
    angle, scale = np.deg2rad(25), 1.15
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = torch.tensor([[[4.0, 6.5], [10.0, 14.0]], [[1.25, 3.0], [0.0, 0.0]]])
    matrix = torch.from_numpy(turn).float().expand(2, 2, 2, 2)
    found = take(slices, places, matrix, 8)
    assert found.shape == (2, 2, 1, 8, 8)
    steps = np.arange(8) - 3.5
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij")).reshape(2, -1)
    for number, slice_ in enumerate(slices[:, 0].numpy()):
        for which, place in enumerate(places[number].numpy()):
            points = place[:, None] + 3.5 + turn @ offsets
            expected = ndimage.map_coordinates(slice_, points, order=1, mode="mirror")
            np.testing.assert_allclose(
                found[number, which, 0].flatten(), expected, atol=1e-4, rtol=0
            )


def test_unchanged_positives_are_their_patches_and_negatives_are_others():
    slices = random(5, 2, 18, 21) + 0.1
    anchors, positives, negatives = draw_triplets(slices, 8, 6, STILL, 0.0, seeded(0))
    assert anchors.shape == positives.shape == negatives.shape == (30, 2, 8, 8)
    torch.testing.assert_close(positives, anchors)
    crops = slices.unfold(2, 8, 1).unfold(3, 8, 1).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    for number, own in enumerate(crops):
        drawn = torch.cat([one[6 * number : 6 * number + 6] for one in (anchors, negatives)])
        distance = torch.cdist(
            drawn.flatten(1), own.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
        )
        assert distance.amin(dim=1).max() < 1e-3
        assert len(distance.argmin(dim=1).unique()) == 12


def test_positives_change_by_no_more_than_they_may():
    slices = random(4, 1, 30, 30) + 0.5
    slices[:, :, :, :6] = 0
    anchors, positives, _ = draw_triplets(
        slices, 8, 50, STILL._replace(gain=0.2, offset=0.1), 0.0, seeded(1)
    )
    assert (positives[anchors == 0] == 0).all()
    away = (positives - anchors).abs()
    assert (away <= 0.2 * anchors + 0.1 + 1e-5).all() and away.max() > 0.2
    moved = draw_triplets(slices, 8, 50, STILL._replace(translation=1.0), 0.0, seeded(1))
    assert not torch.equal(moved[1], anchors) and torch.equal(moved[0], anchors)
    # All of a shift by up to a pixel lies between the smallest and largest of the neighbours.
    inner = moved[1][:, :, 1:-1, 1:-1]
    assert (inner <= functional.max_pool2d(anchors, 3, 1) + 1e-4).all()
    assert (inner >= -functional.max_pool2d(-anchors, 3, 1) - 1e-4).all()


def test_patches_have_foreground_where_there_is_some():
    slices = torch.zeros(2, 1, 40, 40)
    slices[0, :, 10:22, 10:22] = 1
    slices[1, :, 0, 0] = 1
    anchors, _, negatives = draw_triplets(slices, 8, 10, STILL, 0.5, seeded(0))
    share = torch.cat([anchors, negatives]).mean(dim=(1, 2, 3)).view(2, 2, 10)
    assert (share[:, 0] >= 0.5 - 1e-5).all()
    # A slice that has none with so much has patches all the same.
    assert (share[:, 1] < 0.5).all()


def test_equal_seeds_give_equal_triplets():
    slices = random(3, 1, 20, 20)
    changes = Changes(2, 10, 0.1, 0.1, 0.05)
    one, same, other = (draw_triplets(slices, 8, 4, changes, 0.2, seeded(s)) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same))
    assert not any(torch.equal(a, b) for a, b in zip(one, other))
    torch.manual_seed(1)
    first = draw_triplets(slices, 8, 4, changes, 0.2)
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first, draw_triplets(slices, 8, 4, changes, 0.2)))


def test_the_loss_is_that_of_the_paper():
    """max(d(f(p), f(p+)) - d(f(p), f(p-)) + 1, 0), patch by patch."""
    model, batch = made(patches=5).eval(), tensors(flair(count=3, size=32))
    found = model.validation_loss("main", batch)
    drawn = draw_triplets(batch.slices, 8, 5, model.changes, model.foreground, seeded(0))
    own, near, far = (
        np.stack([model.embed_patches(one[None]).flatten().detach().numpy() for one in kind])
        for kind in drawn
    )
    distances = [np.linalg.norm(own - others, axis=1) for others in (near, far)]
    expected = np.maximum(distances[0] - distances[1] + 1, 0).reshape(3, 5).mean(axis=1)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(model.validation_loss("main", batch), found)


@pytest.fixture(scope="module")
def learned():
    """A trained model, and its history."""
    model = made(learning_rate=2e-3)
    healthy, held_out = (HeldBatch(flair(count=24, size=32, seed=seed)) for seed in (0, 1))
    history = train(model, healthy, held_out, seed=1, max_epochs=8, batch_size=8)
    return model.eval(), history


def test_the_triplet_loss_falls(learned):
    errors = [row["validation"] for row in learned[1]]
    assert min(errors) < 0.8 * errors[0]


def test_a_changed_patch_is_nearer_than_another(learned):
    model, slices = learned[0], tensors(flair(count=12, size=32, seed=5)).slices
    with torch.no_grad():
        kinds = draw_triplets(slices, 8, 20, model.changes, 0.25, seeded(3))
        own, near, far = (model.embed_patches(one).flatten(1) for one in kinds)
    nearer = (own - near).norm(dim=1) < (own - far).norm(dim=1)
    assert nearer.float().mean() > 0.9


class Clipped(torch.nn.Module):
    """Gives slices back without what is brighter than normal tissue."""

    def __init__(self):
        super().__init__()
        self.most = torch.nn.Parameter(torch.tensor(1.1))

    def reconstruct(self, slices):
        return torch.minimum(slices, self.most)


def test_a_lesion_that_the_reconstruction_lacks_scores_highest(learned):
    scan = flair(count=12, size=32, seed=2, lesions=True)
    ready = detectors.prepare(
        "embedding_distance",
        Clipped(),
        device=torch.device("cpu"),
        contrasts=["FLAIR"],
        uses={"metric": learned[0]},
    )
    found = ready.detect(scan, 0).map
    brain, lesion = (scan.layers[name] > 0 for name in ("brain", "lesion"))
    for own, mask, where in zip(found, brain, lesion):
        if not where.any():
            assert np.ptp(own[mask]) == 0
            continue
        # The patch around a pixel next to the lesion sees it as well.
        assert ndimage.binary_dilation(where, iterations=3)[
            np.unravel_index(own.argmax(), own.shape)
        ]
        assert own[where].mean() > 2 * own[mask & ~where].mean()


def test_equal_seeds_train_alike():
    healthy = HeldBatch(flair(count=8, size=16))
    found = []
    for seed in (1, 1, 2):
        model = made(size=16)
        train(model, healthy, healthy, seed=seed, max_epochs=2, batch_size=4)
        found.append(model.state_dict())
    one, same, other = found
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": 32}, "patch: found 32; must be smaller than slices.size, which is 32"),
        ({"patch": 10}, "patch: found 10; must be a multiple of 4"),
        ({"patch": 28, "patches": 13}, "patches: found 13; slices of 32 pixels have 25 different"),
    ],
)
def test_patches_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def test_other_contrasts_and_strides_are_refused():
    model = made().eval()
    with pytest.raises(ConfigError, match="patches of 1 contrasts is given 2"):
        model.embed_patches(random(1, 2, 16, 16))
    with pytest.raises(ConfigError, match="stride: found 3; must be a power of two"):
        model.embed_patches(random(1, 1, 16, 16), 3)
