"""The unified network, batch norm, folding, devices."""

import pytest
import torch
from torch import nn

from normscan.compute import devices
from normscan.compute.memory import tune_allocator
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.networks import registry as networks
from normscan.networks.folding import simplify_for_inference
from normscan.networks.normalisation import BatchNorm
from normscan.networks.unified import (
    UnifiedDecoder,
    UnifiedEncoder,
    decoder_filters,
    encoder_filters,
)
from normscan.slices.batch import Batch


def test_the_network_of_the_study():
    assert encoder_filters(128) == [32, 64, 128, 128]
    assert decoder_filters(128) == [128, 64, 32, 32]
    encoder, decoder = UnifiedEncoder(1, 128, codes=2), UnifiedDecoder(1, 128)
    parameters = sum(p.numel() for m in (encoder, decoder) for p in m.parameters())
    assert parameters == pytest.approx(1.76e6, rel=0.01)
    kernels = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [m.kernel_size for m in kernels] == [(5, 5)] * 4 + [(1, 1)]
    assert kernels[-1].out_channels == 16


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("contrasts", [1, 3])
@pytest.mark.parametrize("bottleneck", ["dense", "spatial"])
def test_shapes(size, contrasts, bottleneck):
    encoder = UnifiedEncoder(contrasts, size, 8, bottleneck, codes=2)
    decoder = UnifiedDecoder(contrasts, size, 8, bottleneck)
    slices = torch.rand(2, contrasts, size, size)
    codes = encoder(slices)
    shape = (2, 8) if bottleneck == "dense" else (2, 8, 8, 8)
    assert [tuple(code.shape) for code in codes] == [shape] * 2
    assert decoder(codes[0]).shape == slices.shape


@pytest.mark.parametrize("size", [8, 20, 48, 100, 0])
def test_sizes_that_do_not_fit_name_the_key_and_what_does(size):
    with pytest.raises(ConfigError, match=f"slices.size: found {size}.*16, 32, 64, 128"):
        UnifiedEncoder(1, size)


def test_unknown_bottlenecks_are_refused():
    with pytest.raises(ConfigError, match="bottleneck: found 'flat'; allowed: dense, spatial"):
        UnifiedEncoder(1, 16, bottleneck="flat")


@pytest.mark.parametrize("name", networks.names())
@pytest.mark.parametrize(("size", "contrasts"), [(16, 1), (32, 3)])
def test_every_network_codes_and_decodes(name, size, contrasts):
    has, module = networks.describe(name), networks.load(name)
    slices = torch.rand(2, contrasts, size, size)
    for bottleneck in has["bottlenecks"]:
        codes = module.make_encoder(contrasts, size, 4, bottleneck, codes=2)(slices)
        decoder = module.make_decoder(contrasts, size, 4, bottleneck)
        assert len(codes) == 2 and codes[0].shape == codes[1].shape
        assert codes[0].shape[1] == 4 and codes[0].ndim == (2 if bottleneck == "dense" else 4)
        assert decoder(codes[0]).shape == slices.shape
    assert {part for part in has["parts"] if hasattr(module, f"make_{part}")} == has["parts"]
    if "critic" in has["parts"]:
        critic = module.make_critic(contrasts, size)
        assert critic(slices).shape == (2,) and len(critic.features(slices)) == 2
        # Each slice is judged on its own.
        torch.testing.assert_close(critic(slices)[:1], critic(slices[:1]))


@pytest.mark.parametrize("name", [n for n in networks.having({"encoder"}) if n != "unified"])
def test_sizes_that_a_network_cannot_take_are_named(name):
    usual = networks.describe(name)["bottlenecks"][0]
    with pytest.raises(ConfigError, match="slices.size: found 18.*multiples of"):
        networks.load(name).make_encoder(1, 18, 4, usual)


def test_table_3_of_you_et_al():
    network = networks.load("you2019")
    encoder = network.make_encoder(1, 32, 1, "spatial", codes=4)
    strides = [m.stride[0] for m in encoder.stages if isinstance(m, nn.Conv2d)]
    assert strides == [2, 1, 1, 2, 1, 1]
    assert encoder(torch.rand(1, 1, 32, 32))[3].shape == (1, 1, 8, 8)


def test_dropout_keeps_the_mean_of_what_the_dense_layers_make_of_a_code():
    """Both layers are linear, so this holds exactly in expectation."""
    features, generator = UnifiedDecoder(1, 16, 8).features, torch.Generator().manual_seed(0)
    code = torch.randn(1, 8, generator=generator)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = features.eval()(code)[0]
        found = features.train()(code.expand(4000, 8))
    error = found.std(dim=0) / len(found) ** 0.5
    assert (error > 0).all() and ((found.mean(dim=0) - expected).abs() < 5 * error).all()


def test_running_statistics_are_plain_means_at_first():
    norm, random = BatchNorm(2), torch.Generator().manual_seed(0)
    batches = [5 + 3 * torch.randn(8, 2, 4, 4, generator=random) for _ in range(6)]
    for batch in batches:
        norm(batch)
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, means)
    for _ in range(10):
        norm(batches[0])
    assert norm.settled and norm.momentum == 0.1


def test_folding_changes_nothing_but_rounding():
    model = registry.build("vae", (1, 1, 32), latent=8)
    slices = torch.rand(6, 1, 32, 32)
    for _ in range(3):
        model.train().losses(Batch.of(slices))
    folded = simplify_for_inference(model)
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            folded.reconstruct(slices), model.reconstruct(slices), atol=1e-5, rtol=1e-4
        )
    left = [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    # Only the decoder's first batch norm has no convolution right before it.
    assert len(left) == 1
    assert not any(p.requires_grad for p in folded.parameters())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "bottleneck"),
    [(name, form) for name in networks.names() for form in networks.describe(name)["bottlenecks"]],
)
def test_every_network_for_inference_has_the_same_outputs_and_gradients(name, bottleneck):
    module = networks.load(name)
    torch.manual_seed(0)
    # Of the unified network two stages; the others, which are wide, have all of theirs at any size.
    size = 32 if name == "unified" else 16
    model = nn.Sequential(module.make_encoder(1, size, 8, bottleneck), _First())
    model.append(module.make_decoder(1, size, 8, bottleneck)).double()
    slices = torch.rand(3, 1, size, size, dtype=torch.float64)
    model.train()(slices)
    model.eval()
    before = slices.clone()
    found = {}
    for key, network in {"as trained": model, "inference": simplify_for_inference(model)}.items():
        leaf = slices.requires_grad_()
        output = network(leaf)
        (gradient,) = torch.autograd.grad(output.square().sum(), leaf)
        found[key] = (output.detach(), gradient)
    torch.testing.assert_close(found["inference"], found["as trained"])
    assert torch.equal(slices, before), "the input was overwritten"


class _First(nn.Module):
    """The first of several codes."""

    def forward(self, codes):
        return codes[0]


def test_devices_and_precisions():
    cpu = torch.device("cpu")
    assert devices.choose_device("cpu") == cpu
    assert devices.choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ConfigError, match="device: found 'tpu'; allowed: auto, cpu, cuda"):
        devices.choose_device("tpu")
    assert devices.choose_precision("auto", cpu) == "float32"
    with pytest.raises(ConfigError, match="precision: found 'double'"):
        devices.choose_precision("double", cpu)
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        devices.choose_precision("float16", cpu)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no usable GPU"):
            devices.choose_device("cuda")


def test_prepared_torch_is_deterministic():
    threads = torch.get_num_threads()
    assert devices.prepare_torch("cpu", 1) == torch.device("cpu")
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1
    assert tune_allocator() in (True, False)
    torch.set_num_threads(threads)


def test_seeded_leaves_the_outside_alone():
    before = torch.get_rng_state()
    with devices.seeded(3):
        first = torch.rand(3)
    with devices.seeded(3):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)
