"""Slices whose side a network does not take are refused when a run is planned."""

import pytest
import torch
from made_studies import protocol

from normscan.errors import ConfigError
from normscan.networks import registry as networks
from normscan.plugins import literals
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocols import parse_protocol
from normscan.workflow.slice_sides import unfit

SIDES = (16, 24, 30, 36, 40, 64, 100)


def build(name: str, side: int) -> None:
    """Make a network's first part for slices of two contrasts, without memory for its weights."""
    module, parts = networks.load(name), networks.describe(name)["parts"]
    with torch.device("meta"):
        if "encoder" in parts:
            module.make_encoder(2, side, 4, networks.describe(name)["bottlenecks"][0])
        elif "skip_encoder" in parts:
            module.make_skip_encoder(2, side, 4)
        elif "image_to_image" in parts:
            module.make_image_to_image(2, 2, side, depth=3, width=4)
        elif "denoiser" in parts:
            module.make_denoiser(2, side, width=32, depth=3, blocks=1, attention=False)
        elif "contrast_to_contrast" in parts:
            module.make_contrast_to_contrast(2, side, width=4, median=True)
        else:
            module.make_decoder(2, side, 4, "dense")


@pytest.mark.parametrize("name", networks.names())
def test_networks_take_the_sides_that_they_say(name):
    words = literals(LIBRARY / "networks" / f"{name}.py")["SIDE"]
    for side in SIDES:
        if unfit(side, words, {"depth": 3}):
            with pytest.raises(ConfigError, match=f"slices.size: found {side}"):
                build(name, side)
        else:
            build(name, side)


def problems(size: int, **models) -> list[str]:
    return parse_protocol("p", protocol(slices={"size": size}, models=models))[1]


def test_a_plan_names_size_network_and_model():
    assert problems(64) == []
    assert problems(48) == [
        f"protocol 'p'.slices.size: found 48; network unified of model '{name}' takes 8 times a "
        "power of two"
        for name in ("vae", "ae")
    ]
    (line,) = problems(64, vae={"family": "denoising_ae", "depth": 7})
    assert line.endswith("network unet of model 'vae' takes multiples of 128, as depth is 7")


def test_settings_of_a_family_count():
    (line,) = problems(64, vae={"family": "ddpm", "patch": 48})
    assert line.endswith("family ddpm of model 'vae' takes multiples of 48, as patch is 48")
    assert problems(64, vae={"family": "ddpm", "patch": 32}) == []
    (line,) = problems(64, vae={"family": "fanogan", "resolution": 48})
    assert line.startswith("protocol 'p'.models.vae.resolution: found 48; network unified")


def test_words_that_say_no_side_are_refused():
    with pytest.raises(ValueError, match="says no side"):
        unfit(64, "even", {})
