"""f-AnoGAN at a coarser resolution than that of the slices."""

import pytest
import torch
from made_brains import HeldBatch, made_brains
from torch.nn.functional import interpolate

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.parts.coarse import Coarse
from normscan.slices.batch import Batch
from normscan.training.loop import train

SMALL = {"latent": 4, "learning_rate": 1e-3}


def made(contrasts=1, size=32, resolution=16, **settings):
    shape = (contrasts, contrasts, size)
    return registry.build(
        "fanogan", shape, seed=1, resolution=resolution, **{**SMALL, "gan_steps": 3, **settings}
    )


def images(contrasts=1, size=32, count=3):
    return torch.rand(count, contrasts, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("size", "resolution"), [(32, 16), (24, 16)])
def test_resizing_is_that_of_torch(size, resolution):
    coarse, slices = Coarse(size, resolution), images(2, size)
    small = coarse.shrink(slices)
    torch.testing.assert_close(small, interpolate(slices, (resolution,) * 2, mode="area"))
    expected = interpolate(small, (size,) * 2, mode="bicubic", align_corners=False)
    torch.testing.assert_close(coarse.grow(small), expected)


def test_slices_keep_their_precision():
    """Whatever networks compute in."""
    coarse, slices = Coarse(32, 16), images()
    expected = coarse.shrink(slices)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(coarse.shrink(slices), expected)
        assert coarse.grow(expected).dtype == torch.float32


def test_the_residual_is_the_interpolated_coarse_one():
    coarse, slices = Coarse(32, 16), images()
    small = coarse.shrink(slices)
    given = torch.rand_like(small)
    residual = slices - coarse.expected(slices, small, given)
    torch.testing.assert_close(residual, coarse.grow(small - given))


def test_slices_of_that_resolution_are_left_as_they_are():
    slices = images(size=16)
    for coarse in (Coarse(16, None), Coarse(16, 16)):
        assert coarse.shrink(slices) is slices and coarse.grow(slices) is slices
    plain = registry.build("fanogan", (1, 1, 16), seed=1, **SMALL)
    same = made(size=16, resolution=16)
    assert same.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(same.eval().reconstruct(slices), plain.eval().reconstruct(slices))


def test_finer_ones_are_refused():
    with pytest.raises(ConfigError, match="resolution: found 64; slices have 32 pixels"):
        made(resolution=64)


@pytest.mark.parametrize("contrasts", [1, 4])
def test_networks_are_coarse_and_outputs_are_not(contrasts):
    """The weights are those of the same model on coarse slices."""
    model = made(contrasts)
    coarse = registry.build("fanogan", (contrasts, contrasts, 16), seed=1, **SMALL)
    assert model.state_dict().keys() == coarse.state_dict().keys()
    for name, value in coarse.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    coarse, model = coarse.eval(), model.eval()
    slices = images(contrasts)
    small = model.coarse.shrink(slices)
    assert model.reconstruct(slices).shape == slices.shape
    residual = slices - model.reconstruct(slices)
    expected = model.coarse.grow(small - coarse.reconstruct(small))
    torch.testing.assert_close(residual, expected, atol=1e-5, rtol=1e-4)
    codes = torch.randn(3, 4)
    grown = model.coarse.grow(coarse.generate(codes))
    torch.testing.assert_close(model.generate(codes), grown)
    features = model.discriminator_features(slices)
    torch.testing.assert_close(features, coarse.discriminator_features(small))
    torch.testing.assert_close(model.embed(slices), coarse.embed(small))


def test_losses_and_gradients_are_those_of_coarse_slices():
    model, coarse = made(2), registry.build("fanogan", (2, 2, 16), seed=1, **SMALL)
    slices = images(2)
    small = model.coarse.shrink(slices)
    for phase in model.phases:
        for one, own in ((model, slices), (coarse, small)):
            torch.manual_seed(0)
            one.training_mode(phase)
            update = Updates(one.optimisers(phase))
            update.step = 4  # The generator's turn as well.
            one.training_step(phase, Batch.of(own), update)
    for name, value in coarse.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
    torch.testing.assert_close(
        model.eval().validation_loss("encoder", Batch.of(slices)),
        coarse.eval().validation_loss("encoder", Batch.of(small)),
    )


def test_it_trains_and_codes_can_be_searched():
    slices, layers = made_brains(count=12, size=32)
    model = made(2)
    store = HeldBatch(Batch.of(slices, layers=layers))
    history = train(model, store, store, seed=1, batch_size=6, max_epochs=2)
    errors = [row["validation"] for row in history if row["validation"] is not None]
    assert len(errors) == 2 and errors[1] < errors[0]
    codes = torch.randn(2, 4, requires_grad=True)
    model.discriminator_features(model.generate(codes)).sum().backward()
    assert codes.grad.abs().sum() > 0
