"""Distances of patch embeddings: against each patch on its own, standardised, and of lesions."""

import numpy as np
import pytest
import torch
from fake_models import CPU, Patches, detect
from scipy import stats
from torch import nn
from torch.nn import functional

from normscan.detectors.embedding_distance import patch_distances, standardised
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.networks.normalisation import BatchNorm
from normscan.workflow.protocols import parse_protocol

NAME = "embedding_distance"
SMALL = {"patch": 8, "filters": [8, 16], "hidden": 32, "embedding": 16}


class Clipped(nn.Module):
    """Gives slices back without what is brighter than normal tissue."""

    def __init__(self, most=1.2):
        super().__init__()
        self.most = nn.Parameter(torch.tensor(most))

    def reconstruct(self, slices):
        return torch.minimum(slices, self.most)


def metric(size=16):
    """An untrained model, with statistics of batch norms that are not the first ones."""
    model = registry.build("patch_embedding", (1, 1, size), seed=3, **SMALL).eval()
    generator = torch.Generator().manual_seed(0)
    for one in model.modules():
        if isinstance(one, BatchNorm):
            one.running_mean.copy_(torch.randn(one.num_features, generator=generator) / 4)
    return model.requires_grad_(False)


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def everywhere(slices):
    return torch.ones(len(slices), *slices.shape[2:], dtype=torch.bool)


def patch_loop(model, slices, expected):
    """The score of each pixel, from two patches on their own."""
    side = model.patch_side()
    padding = ((0, 0), (0, 0), (side // 2, side // 2 - 1), (side // 2, side // 2 - 1))
    both = [np.pad(one.numpy(), padding, mode="reflect") for one in (slices, expected)]
    found = np.zeros((len(slices), *slices.shape[2:]))
    for place in np.ndindex(found.shape):
        number, row, column = place
        own, other = (
            torch.from_numpy(one[number, :, row : row + side, column : column + side])
            for one in both
        )
        own, other = (model.embed_patches(one[None]).flatten() for one in (own, other))
        found[place] = np.linalg.norm(own - other)
    return found


def test_distances_are_those_of_each_patch_on_its_own():
    model, (slices, expected) = metric(), images(2, 2, 1, 19, 14)
    found = patch_distances(model, slices, expected, everywhere(slices))
    np.testing.assert_allclose(found, patch_loop(model, slices, expected), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("tile", [1, 4, 16])
def test_tiles_change_nothing(stride, tile):
    model, (slices, expected) = metric(), images(2, 2, 1, 21, 37)
    inside = everywhere(slices)
    whole = patch_distances(model, slices, expected, inside, stride)
    found = patch_distances(model, slices, expected, inside, stride, tile)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_strides_leave_out_pixels_and_interpolate(stride):
    model, (slices, expected) = metric(), images(2, 2, 1, 24, 32)
    found = patch_distances(model, slices, expected, everywhere(slices), stride)
    # The patches around the middles of squares of ``stride`` pixels.
    before = (8 - stride) // 2
    padded = [functional.pad(one, (before,) * 4, mode="reflect") for one in (slices, expected)]
    own, other = (
        one.unfold(2, 8, stride).unfold(3, 8, stride)[:, 0].unflatten(0, (2,)) for one in padded
    )
    rows, columns = own.shape[1:3]
    assert (rows, columns) == (24 // stride, 32 // stride)
    pairs = [model.embed_patches(one.reshape(-1, 1, 8, 8)).flatten(1) for one in (own, other)]
    coarse = (pairs[0] - pairs[1]).norm(dim=1).view(2, 1, rows, columns)
    fine = functional.interpolate(coarse, (24, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, fine[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_mirrored_slice_has_a_mirrored_map(stride):
    """With a metric that does not tell left from right."""
    model = Patches(8)
    model.weight.data = (model.weight + model.weight.flip(3)).detach()
    slices, expected = images(2, 1, 1, 16, 24)
    found = patch_distances(model, slices, expected, everywhere(slices), stride)
    flipped = patch_distances(model, slices.flip(3), expected.flip(3), everywhere(slices), stride)
    torch.testing.assert_close(flipped.flip(2), found)


def test_what_matters_to_no_pixel_inside_is_not_computed():
    class Counting(Patches):
        embedded = 0

        def embed_patches(self, images, stride=1):
            found = super().embed_patches(images, stride)
            self.embedded += found[:, 0].numel()
            return found

    model, (slices, expected) = Counting(), images(2, 3, 1, 40, 40)
    inside = everywhere(slices) & False
    inside[0, 30:38, 2:6] = True
    found = patch_distances(model, slices, expected, inside, tile=8)
    # Two tiles, of the input and of the reconstruction.
    assert model.embedded == 2 * 2 * 8 * 8
    whole = patch_distances(model, slices, expected, everywhere(slices))
    torch.testing.assert_close(found[inside], whole[inside])


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_mask_changes_no_score_inside(stride):
    model, (slices, expected) = metric(), images(2, 4, 1, 40, 40)
    inside = images(4, 40, 40, seed=1) > 0.995
    found = patch_distances(model, slices, expected, inside, stride, 4)
    whole = patch_distances(model, slices, expected, everywhere(slices), stride)
    torch.testing.assert_close(found[inside], whole[inside], rtol=1e-4, atol=1e-5)


def test_z_scores_are_those_of_scipy():
    scores = 3 + images(4, 9, 7)
    inside = images(4, 9, 7, seed=1) > 0.4
    found = standardised(scores, inside)
    for own, values, mask in zip(found, scores, inside):
        expected = stats.zscore(values[mask].double())
        np.testing.assert_allclose(own[mask], expected, rtol=1e-4, atol=1e-4)


def test_equal_scores_have_a_z_score_of_0():
    inside = images(3, 6, 6) > 0.5
    inside[2] = False
    scores = torch.full((3, 6, 6), 0.7)
    scores[1] = 0
    assert not standardised(scores, inside)[inside].any()
    assert standardised(scores, inside).isfinite().all()


def run(slices, brain, model=None, uses=None, **settings):
    return detect(
        NAME, model or Clipped(), slices, brain, uses={"metric": uses or metric()}, **settings
    )


def test_maps_keep_the_order_of_z_scores_and_are_0_outside():
    slices = images(3, 1, 20, 20).numpy() * 2
    brain = images(3, 20, 20, seed=1).numpy() > 0.3
    plain = run(slices, brain, standardise="none").map
    found = run(slices, brain).map
    assert not found[~brain].any() and not plain[~brain].any()
    assert (found[brain] > 0).all()
    for own, distance, mask in zip(found, plain, brain):
        z = stats.zscore(distance[mask].astype(float))
        np.testing.assert_allclose(own[mask], np.logaddexp(0, z), rtol=1e-3, atol=1e-4)


def test_a_perfect_reconstruction_has_an_even_map():
    slices = images(2, 1, 16, 16).numpy()
    brain = np.ones((2, 16, 16), bool)
    brain[1] = False
    found = run(slices, brain)
    assert np.isfinite(found.map).all() and np.ptp(found.map[0]) == 0 and not found.map[1].any()
    assert not run(slices, brain, standardise="none").map.any()


def test_a_search_brings_the_reconstruction_nearer():
    model = registry.build("fanogan", (1, 1, 16), latent=4).eval()
    slices = images(3, 1, 16, 16).numpy()
    brain = np.ones((3, 16, 16), bool)
    given = {"model": model, "learning_rate": 0.05}
    errors = [
        np.square(slices - run(slices, brain, search_steps=steps, **given).reconstruction).sum()
        for steps in (None, 5, 40)
    ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stride": 3}, "stride: found 3; must be a power of two and at most 8"),
        ({"stride": 16}, "stride: found 16; must be a power of two and at most 8"),
        ({"search_steps": 3}, "search_steps: found 3; the model has no encoder"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    slices = images(1, 1, 16, 16).numpy()
    with pytest.raises(ConfigError, match=message):
        run(slices, np.ones((1, 16, 16), bool), **settings)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"uses": {}}, "approaches.a.uses.metric: is missing; name a model"),
        ({"uses": {"metric": "vae"}}, "cannot embed_patches"),
        (
            {"search_steps": 100},
            "approaches.a.search_steps: model 'ae' (family 'ae') cannot encode",
        ),
        ({"search_steps": 0}, "approaches.a.search_steps: found 0"),
        ({"standardise": "scan"}, "approaches.a.standardise: found 'scan'"),
        ({}, ""),
    ],
)
def test_what_does_not_fit_is_refused_when_planned(changes, expected):
    approach = {"model": "ae", "detector": NAME, "uses": {"metric": "patches"}, **changes}
    models = {name: {"family": name} for name in ("ae", "vae")}
    protocol = {
        "contrasts": ["FLAIR"],
        "preprocessing": [{"register": {}}],
        "slices": {"size": 64},
        "models": {**models, "patches": {"family": "patch_embedding"}},
        "approaches": {"a": approach},
    }
    problems = "\n".join(parse_protocol("p", protocol)[1])
    assert expected in problems and bool(expected) == bool(problems)


def test_a_metric_of_other_contrasts_is_refused():
    from normscan.detectors.registry import prepare
    from normscan.slices.batch import Batch

    slices = images(1, 2, 16, 16).numpy()
    brain = np.ones((1, 16, 16), np.int16)
    ready = prepare(
        NAME, Clipped(), device=CPU, contrasts=["T1w", "FLAIR"], uses={"metric": metric()}
    )
    with pytest.raises(ConfigError, match="patches of 1 contrasts is given 2"):
        ready.detect(Batch.of(slices, layers={"brain": brain}), 0)
