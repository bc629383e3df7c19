"""Skip-AE: edges that count, skips that are dropped, what is computed once."""

import numpy as np
import pytest
import torch

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.parts.coding import absolute_errors
from normscan.models.parts.gradients import gradient_differences
from normscan.networks.folding import simplify_for_inference
from normscan.networks.layers import drop_maps
from normscan.networks.unified import decoder_filters, encoder_filters
from normscan.slices.batch import Batch


@pytest.fixture
def model():
    return registry.build("skip_ae", (2, 2, 32), latent=4).eval()


@pytest.fixture
def slices():
    return torch.rand(3, 2, 32, 32, generator=torch.Generator().manual_seed(0))


def test_gradient_differences_of_ramps_are_those_of_their_slopes():
    """Steps of 2 and of -5 (size 5) along 7 columns: 3 each, at 6 steps in 4 rows."""
    columns = torch.arange(7.0).expand(1, 1, 4, 7)
    assert gradient_differences(2 * columns, 9 - 5 * columns).tolist() == [3 * 6 * 4]
    assert gradient_differences(2 * columns.mT, columns.mT).tolist() == [6 * 4]
    # The level does not count, and equal edges are no difference.
    both = torch.cat([columns, columns + 4])
    assert gradient_differences(both, both.flip(0)).tolist() == [0, 0]


def test_gradient_differences_agree_with_numpy(slices):
    found, expected = slices.double(), slices.double().flip(0).square()
    total = np.zeros(3)
    for axis in (2, 3):
        steps = [np.abs(np.diff(one.numpy(), axis=axis)) for one in (found, expected)]
        total += np.abs(steps[0] - steps[1]).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(gradient_differences(found, expected), total)


def test_both_losses_are_made_small(slices):
    """The loss is L1 plus what edges differ by: never below 0, whatever the weight."""
    model = registry.build("skip_ae", (2, 2, 32), latent=4, gdl_weight=2.5).eval()
    model.rates = [0.0]
    found, expected = model.losses(Batch.of(slices)), model.reconstruct(slices)
    l1 = absolute_errors(slices, expected).mean()
    edges = gradient_differences(slices, expected).mean()
    torch.testing.assert_close(found["loss"], l1 + 2.5 * edges)
    torch.testing.assert_close(found["reconstruction"], (slices - expected).abs().mean())


@pytest.mark.parametrize("size", [32, 64, 256])
def test_skips_have_the_sizes_between_the_slices_and_the_codes(size):
    model = registry.build("skip_ae", (1, 1, size), latent=4).eval()
    code, skips = model.encoder(torch.rand(1, 1, size, size))
    sides, side = [], size // 2
    while side >= 16:
        sides.append(side)
        side //= 2
    assert [one.shape[-1] for one in skips] == sides and code.shape == (1, 4)
    assert [one.shape[1] for one in skips] == encoder_filters(size)[:-1]
    assert model.decoder(code, skips).shape == (1, 1, size, size)
    widths = [stage[0].in_channels for stage in model.decoder.stages]
    pairs = zip(decoder_filters(size), encoder_filters(size)[-2::-1])
    assert widths == [own + skip for own, skip in pairs]


def test_a_size_without_a_skip_is_refused():
    with pytest.raises(ConfigError, match="slices.size: found 16.*takes 32, 64, 128"):
        registry.build("skip_ae", (1, 1, 16))


def test_with_everything_dropped_the_skips_do_not_count(model, slices):
    start, *skips = model.encode(slices)
    others = [torch.rand_like(one) for one in skips]
    nearly = float(np.nextafter(np.float32(1), np.float32(0)))
    generator = torch.Generator().manual_seed(0)
    found, other = (
        model.decode_sample((start, *parts), generator, nearly) for parts in (skips, others)
    )
    torch.testing.assert_close(found, other, rtol=0, atol=0)
    # With none dropped they do.
    found, other = (model.decode_sample((start, *p), generator, 0.0) for p in (skips, others))
    assert (found - other).abs().max() > 1e-4


def test_the_skips_are_what_lets_details_through(model, slices):
    """The reconstruction depends on the slice beside the code."""
    code, skips = model.encoder(slices)
    _, others = model.encoder(slices.flip(0))
    assert (model.decoder(code, skips) - model.decoder(code, others)).abs().max() > 1e-4


def test_dropping_takes_whole_maps_and_keeps_the_mean():
    features = torch.rand(200, 50, 3, 3) + 0.5
    found = drop_maps(features, 0.3, torch.Generator().manual_seed(1))
    ratio = found / features
    kept = ratio[..., 0, 0] > 0
    torch.testing.assert_close(ratio, kept[..., None, None].expand_as(ratio) / 0.7)
    share = kept.float().mean().item()
    assert share == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / kept.numel()))
    # Samples lose maps of their own.
    assert len(kept.unique(dim=0)) == len(kept)


def test_at_rate_0_a_sample_is_the_reconstruction(model, slices):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        code = model.encode(slices)
        plain = model.reconstruct(slices)
        torch.testing.assert_close(model.decode_sample(code, generator, 0.0), plain)
        assert (model.decode_sample(code, generator) - plain).abs().max() > 1e-4


def test_simplified_for_inference_it_computes_the_same(model, slices):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(0))
            module.running_var.uniform_(0.5, 2)
    simple = simplify_for_inference(model)
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in simple.decoder.stages.modules())
    found = []
    for one in (model, simple):
        with torch.inference_mode():
            generator = torch.Generator().manual_seed(3)
            code = one.encode(slices)
            found.append([one.decode_sample(code, generator) for _ in range(2)])
            found[-1].append(one.reconstruct(slices))
    for own, other in zip(*found):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)
    # What is computed once is left as it was.
    assert (found[1][0] - found[1][1]).abs().max() > 1e-4


def test_each_skip_has_its_rate_and_the_last_one_stands_for_the_rest():
    model = registry.build("skip_ae", (1, 1, 128), latent=4, skip_dropout=[0.9, 0.1])
    skips = [torch.ones(4, 500, 1, 1) for _ in range(3)]
    lost = [(one == 0).float().mean().item() for one in model._dropped(skips)]
    assert lost == pytest.approx([0.9, 0.1, 0.1], abs=0.04)
    lost = [(one == 0).float().mean().item() for one in model._dropped(skips, rate=0.5)]
    assert lost == pytest.approx([0.5] * 3, abs=0.06)


def test_training_drops_and_validation_does_not(model, slices):
    batch = Batch.of(slices)
    one, other = (model.losses(batch)["loss"] for _ in range(2))
    assert one != other
    error = (slices - model.reconstruct(slices)).abs().mean(dim=(1, 2, 3))
    torch.testing.assert_close(model.validation_loss("main", batch), error)


@pytest.mark.parametrize("rates", [[1.0], [0.5, -0.1], ["some"]])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(ConfigError, match="dropout: found"):
        registry.build("skip_ae", (1, 1, 32), skip_dropout=rates)
