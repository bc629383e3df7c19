import made_heads as phantoms
import numpy as np
import pytest
from made_heads import POSE


@pytest.fixture(scope="session")
def own_atlas(tmp_path_factory):
    """The phantom as an atlas: what a configuration's ``atlases`` holds."""
    folder = tmp_path_factory.mktemp("atlas")
    grid = phantoms.grid(3.0)
    return {
        "phantom": {
            "head": phantoms.save(folder / "head.nii.gz", phantoms.head(grid), grid),
            "brain_mask": phantoms.save(
                folder / "mask.nii.gz", phantoms.mask(grid, phantoms.brain), grid, np.uint8
            ),
        }
    }


@pytest.fixture(scope="session")
def patient(tmp_path_factory):
    """A head elsewhere in space on oblique, thick-sliced grids that differ between contrasts."""
    from normscan.preprocessing.volumes import Prepared

    folder = tmp_path_factory.mktemp("patient")
    t1_grid = phantoms.grid((2.5, 2.5, 4.0), affine=phantoms.rigid((3, 2, -4), (2, 5, -3)))
    # Stored with x and y reversed, as many scanners do.
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flair_grid = phantoms.grid((2.8, 2.8, 3.5), affine=phantoms.rigid((-2, 4, 3), (0, 0, 4)) @ flip)
    moved = phantoms.rigid((1, -1, 2), (2, -1, 1)) @ POSE
    images = {
        "T1w": phantoms.save(folder / "t1.nii.gz", phantoms.head(t1_grid, pose=POSE), t1_grid),
        "FLAIR": phantoms.save(
            folder / "flair.nii.gz",
            phantoms.head(flair_grid, phantoms.FLAIR, moved, seed=1),
            flair_grid,
        ),
    }
    labels = phantoms.mask(flair_grid, phantoms.spot, moved).astype(np.int16) * 3
    return Prepared(
        scan="sub-01",
        subject="01",
        images=images,
        native=dict(images),
        brain=phantoms.save(
            folder / "brain.nii.gz", phantoms.mask(t1_grid, phantoms.brain, POSE), t1_grid, np.uint8
        ),
        lesions=phantoms.save(folder / "lesions.nii.gz", labels, flair_grid, np.int16),
    )
