"""IntroVAE, its plain VAE and their network, against the paper's equations and scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as of_scikit_image
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.introvae import margin_loss, statistics_kept
from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.models.parts.structure import structural_similarity
from normscan.networks import registry as networks
from normscan.slices.batch import Batch

KOBAYASHI = networks.load("kobayashi2021")


def made(family="introvae", **settings):
    return registry.build(family, (1, 1, 16), **{"latent": 2, **settings})


@pytest.fixture
def slices():
    return torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


class Recorder(Updates):
    """Losses of each step, and which parts of the model it moved."""

    def __init__(self, model):
        super().__init__(model.optimisers("main"))
        self.model, self.steps = model, []

    def __call__(self, name, loss, **options):
        before = weights(self.model)
        super().__call__(name, loss, **options)
        moved = {
            part
            for part in ("encoder", "decoder")
            for key, value in self.model.named_parameters()
            if key.startswith(part) and not torch.equal(value, before[key])
        }
        self.steps.append((name, loss.item(), moved))


def weights(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def divergence(mean, log_variance):
    """By torch's distributions."""
    code = Independent(Normal(mean, (0.5 * log_variance).exp()), 3)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 3)
    return kl_divergence(code, prior)


# Network


def convolutions(module, kernel):
    return [
        one.out_channels
        for one in module.modules()
        if isinstance(one, nn.Conv2d) and one.kernel_size == (kernel, kernel)
    ]


def test_the_network_of_section_iii_c():
    encoder = KOBAYASHI.make_encoder(1, 256, 128, "spatial", codes=2)
    decoder = KOBAYASHI.make_decoder(1, 256, 128, "spatial")
    blocks = [one for one in encoder.stages if isinstance(one, KOBAYASHI.Block)]
    found = [convolutions(one, 3) for one in blocks]
    assert found == [[n, n] for n in (32, 64, 128, 256, 512, 512)]
    blocks = [one for one in decoder.stages if isinstance(one, KOBAYASHI.Block)]
    found = [convolutions(one, 3) for one in blocks]
    assert found == [[n, n] for n in (512, 512, 256, 128, 64, 32, 16)]
    assert sum(isinstance(one, nn.AvgPool2d) for one in encoder.modules()) == 6
    assert sum(isinstance(one, nn.Upsample) for one in decoder.modules()) == 6
    with torch.no_grad():
        codes = encoder(torch.rand(1, 1, 256, 256))
        assert [tuple(code.shape) for code in codes] == [(1, 128, 4, 4)] * 2
        assert decoder(codes[0]).shape == (1, 1, 256, 256)


@pytest.mark.parametrize("size", [16, 32, 64])
def test_smaller_slices_keep_the_grid_of_the_code(size):
    encoder = KOBAYASHI.make_encoder(2, size, 8, "spatial").eval()
    decoder = KOBAYASHI.make_decoder(2, size, 8, "spatial").eval()
    with torch.no_grad():
        (code,) = encoder(torch.rand(2, 2, size, size))
        images = decoder(50 * torch.randn(2, 8, 4, 4))
    assert code.shape == (2, 8, 4, 4)
    assert images.shape == (2, 2, size, size)
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.1


def test_a_block_without_convolutions_is_its_connection():
    block = KOBAYASHI.Block(3, 3).eval()
    features = torch.randn(1, 3, 4, 4)
    for one in block.modules():
        if isinstance(one, nn.Conv2d):
            nn.init.zeros_(one.weight)
    torch.testing.assert_close(block(features), features)


def test_first_weights_are_those_of_he_et_al():
    encoder = KOBAYASHI.make_encoder(1, 64, 8, "spatial")
    layer = encoder.stages[-2].main[3]
    expected = (2 / ((1 + KOBAYASHI.SLOPE**2) * layer.in_channels * 9)) ** 0.5
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.01)


def test_black_background_is_minus_one_inside():
    encoder = KOBAYASHI.make_encoder(1, 16, 2, "spatial")
    seen = []
    encoder.stages[1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(torch.tensor([0.0, 0.5, 1.0, 0.25]).view(4, 1, 1, 1).expand(4, 1, 16, 16))
    assert seen[0].amax((1, 2, 3)).tolist() == [-1, 0, 1, -0.5]


@pytest.mark.parametrize("size", [4, 18, 48, 512])
def test_sizes_that_do_not_halve_down_to_the_grid_are_refused(size):
    with pytest.raises(ConfigError, match=f"slices.size: found {size}.*8, 16, 32, 64, 128, 256"):
        KOBAYASHI.make_decoder(1, size, 2, "spatial")


# Structural similarity


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_structural_similarity_is_that_of_scikit_image(scale):
    random = np.random.default_rng(0)
    one = random.random((3, 2, 24, 20)) * scale
    other = (0.7 * one + 0.3 * scale * random.random(one.shape)).astype(np.float32)
    one = one.astype(np.float32)
    found = structural_similarity(torch.from_numpy(one), torch.from_numpy(other), scale)
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": scale}
    expected = [
        np.mean([of_scikit_image(a, b, **options) for a, b in zip(*pair)])
        for pair in zip(one.astype(float), other.astype(float))
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert 0.2 < min(expected) < max(expected) < 0.95


def test_equal_slices_are_as_similar_as_can_be(slices):
    torch.testing.assert_close(structural_similarity(slices, slices), torch.ones(4))
    flat = torch.full((1, 1, 11, 11), 0.5)
    expected = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)
    found = structural_similarity(flat, flat / 2)
    torch.testing.assert_close(found, torch.tensor([expected]), rtol=1e-3, atol=0)


def test_half_precision_does_not_blur_the_similarity(slices):
    expected = structural_similarity(slices, slices.flip(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(structural_similarity(slices, slices.flip(2)), expected)


# Losses


def test_the_reconstruction_error_by_hand():
    """In [-1, 1] a difference of 0.25 is 0.5, its square 0.25; flat slices have SSIM by hand."""
    dark, bright = torch.full((1, 1, 16, 16), 0.25), torch.full((1, 1, 16, 16), 0.5)
    plain = made(structure_weight=0.0).reconstruction_error(bright, dark)
    assert plain.tolist() == [0.25 * 256**2]
    similar = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)
    both = made(structure_weight=0.5).reconstruction_error(bright, dark)
    assert both.item() == pytest.approx((0.25 + 0.5 * (1 - similar)) * 256**2, rel=1e-4)


def test_slices_of_the_papers_size_have_sums_over_their_pixels():
    one, other = torch.rand(2, 3, 1, 256, 256, generator=torch.Generator().manual_seed(4))
    settings = {"network": "marimont2021", "latent": 1, "structure_weight": 0.0}
    model = registry.build("ssim_vae", (1, 1, 256), **settings)
    expected = ((2 * one - 1) - (2 * other - 1)).square().sum((1, 2, 3))
    torch.testing.assert_close(model.reconstruction_error(one, other), expected)


def test_the_hinge_is_of_each_slice():
    far = torch.tensor([0.0, 100.0, 120.0, 300.0], requires_grad=True)
    loss = margin_loss(far, 120.0)
    assert loss.tolist() == [120.0, 20.0, 0.0, 0.0]
    loss.sum().backward()
    assert far.grad.tolist()[:2] == [-1, -1] and far.grad[3] == 0


def test_the_losses_of_both_steps_are_equations_6_and_7(slices):
    """Computed anew from the weights before each step; alpha, beta and m are the paper's."""
    model = made(decoder_learning_rate=1e-3, margin=20.0)
    assert (model.adversarial_weight, model.reconstruction_weight) == (0.5, 0.04)
    twin = made(margin=20.0)
    recorder = Recorder(model)
    torch.manual_seed(5)
    found = model.training_step("main", Batch.of(slices), recorder)
    (first, encoder_loss, _), (second, decoder_loss, _) = recorder.steps
    assert (first, second) == ("encoder", "decoder")
    torch.manual_seed(5)
    mean, log_variance = twin.encoder(slices)
    expected = twin.decoder(draw(mean, log_variance))
    error = 0.04 * twin.reconstruction_error(slices, expected).mean()
    far = divergence(*twin.encoder(expected))
    hinge = (20 - far).clamp(min=0).mean()
    assert 0 < hinge < 20
    loss = divergence(mean, log_variance).mean() + 0.5 * hinge + error
    assert encoder_loss == pytest.approx(loss.item(), rel=1e-4)
    # The decoder is judged by the encoder that has just learned.
    judge = model.train().encoder
    loss = 0.5 * divergence(*judge(expected)).mean() + error
    assert decoder_loss == pytest.approx(loss.item(), rel=1e-4)
    assert found["reconstruction"].item() == pytest.approx((slices - expected).abs().mean().item())


def test_each_step_moves_its_own_part_only(slices):
    model = made()
    recorder = Recorder(model)
    model.training_step("main", Batch.of(slices), recorder)
    assert [(name, moved) for name, _, moved in recorder.steps] == [
        ("encoder", {"encoder"}),
        ("decoder", {"decoder"}),
    ]


def test_rates_are_the_papers():
    steps = made().optimisers("main")
    assert {n: o.param_groups[0]["lr"] for n, o in steps.items()} == {
        "encoder": 1e-4,
        "decoder": 5e-3,
    }
    (plain,) = made("ssim_vae").optimisers("main").values()
    assert [group["lr"] for group in plain.param_groups] == [1e-4, 5e-3]
    assert sum(len(group["params"]) for group in plain.param_groups) == len(
        made("ssim_vae").trainable()
    )


def test_the_encoder_pushes_reconstructions_away_and_the_decoder_pulls_them_back(slices):
    """Some steps of one part alone, against a part that stands still."""
    for name, sign in (("encoder", 1), ("decoder", -1)):
        model = made(reconstruction_weight=0.0, margin=500.0, learning_rate=1e-3)
        model.decoder_learning_rate = 1e-3
        update, batch = Updates(model.optimisers("main")), Batch.of(slices)
        update.optimisers = {
            key: value if key == name else torch.optim.SGD(value.param_groups[0]["params"], lr=0.0)
            for key, value in update.optimisers.items()
        }
        torch.manual_seed(1)
        found = [
            model.training_step("main", batch, update)["kl_reconstructions"].item()
            for _ in range(15)
        ]
        assert sign * (found[-1] - found[0]) > 0.05 * found[0], (name, found)


def test_reconstructions_beyond_the_margin_push_no_more(slices):
    """Without the hinge the encoder's step is that of the plain VAE."""
    found = []
    for family, settings in (("introvae", {"margin": 1e-9}), ("ssim_vae", {})):
        model = made(family, **settings)
        torch.manual_seed(3)
        model.training_step("main", Batch.of(slices), Updates(model.optimisers("main")))
        found.append(weights(model.encoder))
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name])


def test_the_plain_vae_minimises_its_bound(slices):
    model = made("ssim_vae", structure_weight=0.0)
    torch.manual_seed(2)
    losses = model.losses(Batch.of(slices))
    torch.manual_seed(2)
    mean, log_variance = model.encoder(slices)
    squares = (2 * (slices - model.decoder(draw(mean, log_variance)))).square().mean((1, 2, 3))
    expected = divergence(mean, log_variance).mean() + 0.04 * 256**2 * squares.mean()
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_running_statistics_are_those_of_slices_alone(slices):
    """After a step they are what one pass of the slices leaves."""
    model, twin = made(), made()
    model.training_step("main", Batch.of(slices), Updates(model.optimisers("main")))
    twin.encoder(slices)
    after = dict(twin.encoder.named_buffers())
    for name, value in model.encoder.named_buffers():
        torch.testing.assert_close(value, after[name], rtol=0, atol=0)
    with statistics_kept(model.encoder):
        seen = kl_to_standard(*model.encoder(slices))
    assert all(one.track_running_stats for one in model.modules() if hasattr(one, "running_mean"))
    # By their own statistics, not by the running ones.
    model.eval()
    assert not torch.allclose(seen, kl_to_standard(*model.encoder(slices)))


# What it can do


@pytest.mark.parametrize("family", ["introvae", "ssim_vae"])
@pytest.mark.parametrize(
    ("network", "bottleneck", "shape"),
    [
        ("kobayashi2021", "spatial", (2, 4, 4)),
        ("unified", "spatial", (2, 8, 8)),
        ("unified", "dense", (2,)),
    ],
)
def test_codes_have_the_shape_of_the_network(family, network, bottleneck, shape, slices):
    model = made(family, network=network, bottleneck=bottleneck)
    assert model.training
    model.eval()
    drawn = model.draw_codes(3, torch.Generator().manual_seed(0))
    assert drawn.shape == (3, *shape)
    assert model.generate(drawn).shape == (3, 1, 16, 16)
    codes = model.infer_codes(slices)
    assert codes.shape == (4, *shape)
    torch.testing.assert_close(model.generate(codes), model.reconstruct(slices))
    assert torch.equal(drawn, model.draw_codes(3, torch.Generator().manual_seed(0)))


def test_slices_smaller_than_the_window_are_refused():
    with pytest.raises(ConfigError, match="slices.size: found 8; the structural similarity"):
        registry.build("introvae", (1, 1, 8), latent=2)
    registry.build("introvae", (1, 1, 8), latent=2, structure_weight=0.0)
