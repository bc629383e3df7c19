"""Ranges that families state are those that they take: a model can be built at every end."""

import pytest
from range_ends import settings_at_ends

from normscan.models import registry
from normscan.models.base import TRAINING
from normscan.plugins import literals

ALONE = [name for name in registry.families() if not registry.describe(name)["uses"]]
SIZE = 32
# What an end also asks of another setting, or of the slices.
BESIDE = {
    ("ddpm", "times"): {"starts": [1]},
    ("fanogan", "resolution"): {"network": "schlegl2019"},
    ("introvae", "dropout"): {"network": "unified", "bottleneck": "dense"},
    ("ssim_vae", "dropout"): {"network": "unified", "bottleneck": "dense"},
    ("patch_embedding", "patch"): {"filters": [4]},
}
SMALL = {"width": 4, "depth": 2}


@pytest.mark.parametrize("family", ALONE)
def test_a_model_is_built_at_the_ends_of_every_range(family):
    path = registry.FOLDER / f"{family}.py"
    said, described = literals(path), registry.describe(family)
    small = {key: value for key, value in SMALL.items() if key in described["settings"]}
    few = {**small, **said.get("CHECKED_WITH", {})}
    shape = (described["least_contrasts"],) * 2 + (said.get("CHECKED_AT", SIZE),)
    for key, value in settings_at_ends(path):
        if key not in TRAINING:
            beside = BESIDE.get((family, key), {})
            registry.build(family, shape, **{**few, **beside, key: value})
