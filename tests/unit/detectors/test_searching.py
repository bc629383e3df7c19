"""The search that detectors share: what it gives, from which start, and what it leaves alone."""

import numpy as np
import pytest
import torch
from torch import nn

from normscan.detectors.searching import search_codes
from normscan.errors import ConfigError


class Linear(nn.Module):
    """x = W z; its encoder gives z = 0 but for an offset, codes are maps (1, 2, 2)."""

    def __init__(self, offset=0.0):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(16, 4, generator=random))
        self.offset = offset

    def draw_codes(self, count, generator):
        return torch.randn(count, 1, 2, 2, generator=generator)

    def generate(self, codes):
        return (codes.flatten(1) @ self.weight.T).view(-1, 1, 4, 4)

    def infer_codes(self, slices):
        return slices.new_full((len(slices), 1, 2, 2), self.offset)


@pytest.fixture
def slices():
    return torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("start", ["encoder", "prior"])
def test_it_ends_at_least_squares(slices, start):
    model = Linear()
    found = search_codes(model, slices, start, 800, 0.02, seeds=range(5))
    w = model.weight.detach().double().numpy()
    flat = slices.flatten(1).double().numpy().T
    expected = w @ np.linalg.lstsq(w, flat, rcond=None)[0]
    np.testing.assert_allclose(found.flatten(1).numpy().T, expected, atol=1e-3)
    assert not found.requires_grad and model.weight.grad is None


def test_steps_of_the_paper_are_the_default(slices):
    """A hundred of a thousandth: no entry of a code goes further than a tenth."""
    model = Linear()
    found = search_codes(model, slices)
    codes = np.linalg.lstsq(model.weight.detach().numpy(), found.flatten(1).numpy().T, rcond=None)
    assert 0.05 < np.abs(codes[0]).max() <= 0.1 + 1e-4
    assert torch.equal(found, search_codes(model, slices, "encoder", 100, 1e-3))


def test_no_step_gives_what_the_start_decodes_to(slices):
    model = Linear(offset=0.5)
    found = search_codes(model, slices, "encoder", 0)
    torch.testing.assert_close(found, model.generate(torch.full((5, 1, 2, 2), 0.5)))
    drawn = search_codes(model, slices, "prior", 0, seeds=[3, 4, 3, 5, 6])
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])


def test_the_encoder_sees_inputs_where_they_are_not_the_targets(slices):
    model = Linear()
    model.infer_codes = lambda seen: seen[:, :, :2, :2]
    inputs = slices.flip(0)
    found = search_codes(model, slices, "encoder", 0, inputs=inputs)
    torch.testing.assert_close(found, model.generate(inputs[:, :, :2, :2]))


def test_a_slice_is_searched_for_on_its_own(slices):
    model = Linear()
    together = search_codes(model, slices, "encoder", 50, 0.01)
    alone = [search_codes(model, one[None], "encoder", 50, 0.01) for one in slices]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [{"start": "middle"}, {"distance": "cosine"}])
def test_unknown_words_are_refused(slices, options):
    ((name, value),) = options.items()
    with pytest.raises(ConfigError, match=f"{name}: found '{value}'; allowed: "):
        search_codes(Linear(), slices, **options)


def test_a_search_that_diverges_says_so(slices):
    with pytest.raises(ConfigError, match="diverged; choose a smaller learning_rate"):
        search_codes(Linear(), slices, "encoder", 9, 1e38)
