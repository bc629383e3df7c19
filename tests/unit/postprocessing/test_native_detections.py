"""Detections in the scan's own space: the table and the volume say the same."""

import logging

import numpy as np
import pytest

from normscan.files import save_nifti
from normscan.postprocessing.components import label
from normscan.postprocessing.detections import detect_components
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.resample import resample
from normscan.preprocessing.transforms import LPS, write_affine
from normscan.slices.index import ScanEntry

AXES = [f"{axis}_mm" for axis in "xyz"]
ATLAS_SHAPE, ATLAS = (40, 44, 36), np.diag([2.0, 2, 2, 1])
ATLAS[:3, 3] = [-40, -44, -36]


def rotation(*angles):
    made = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        one, other = [place for place in range(3) if place != axis]
        turn[[one, other], [one, other]] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        made = made @ turn
    return made


# An oblique scan of thick slices, and where its patient lies in the atlas: turned, larger, shifted.
NATIVE_SHAPE = (80, 90, 24)
NATIVE = np.eye(4)
NATIVE[:3, :3] = rotation(0.3, -0.2, 0.1) @ np.diag([-0.9, 0.9, 3.5])
NATIVE[:3, 3] = np.array([12, -9, 31]) - NATIVE[:3, :3] @ (np.array(NATIVE_SHAPE) - 1) / 2
POSE = np.eye(4)
POSE[:3, :3] = 1.15 * rotation(-0.1, 0.2, 0.25)
POSE[:3, 3] = [14, -10, 33]


def ball(shape, affine, centre, radius):
    places = np.stack(np.indices(shape), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    return np.clip(radius + 1 - np.linalg.norm(places - centre, axis=-1), 0, 1)


def at(*place):
    """World coordinates of a voxel (fractions allowed) of the native grid."""
    return (NATIVE @ [*place, 1])[:3]


def scan(folder, pose=POSE) -> ScanEntry:
    """A scan whose atlas coordinates become its own by ``pose`` (RAS+)."""
    save_nifti(folder / "flair.nii.gz", np.zeros(NATIVE_SHAPE), NATIVE, np.uint8)
    flip = np.eye(4)
    flip[:3, :3] = LPS
    transform = write_affine(folder / "pose.mat", flip @ pose @ flip)
    return ScanEntry(
        "sub-01", "01", "", 0, ATLAS_SHAPE[2], list(range(ATLAS_SHAPE[2])), ATLAS_SHAPE,
        ATLAS.tolist(), brain_voxels=[], lesion_voxels=[], transforms={"FLAIR": [transform]},
        native={"FLAIR": str(folder / "flair.nii.gz")},
    )  # fmt: skip


def detections(score, entry, minimum_voxels=2):
    found = detect_components(score.astype(np.float32), 0.5, minimum_voxels, entry, "FLAIR")
    np.testing.assert_allclose(found.native_affine, NATIVE, atol=1e-5)
    return found.components, found.native


def test_centres_and_volumes_are_those_of_the_native_detection(tmp_path):
    entry = scan(tmp_path)
    centres = {9.0: at(30, 50, 12), 6.0: at(52.5, 33.2, 9.6)}
    native = sum(ball(NATIVE_SHAPE, NATIVE, centre, r) for r, centre in centres.items())
    atlas = resample(
        native, Grid(NATIVE_SHAPE, NATIVE), Grid(ATLAS_SHAPE, ATLAS), entry.transforms["FLAIR"]
    )
    table, detected = detections(atlas, entry)
    assert len(table) == 2
    voxel_ml = 0.9 * 0.9 * 3.5 / 1000
    for (radius, centre), row in zip(centres.items(), table.itertuples()):
        # Within a voxel of the lesion's true place in the scan, not in the atlas.
        offset = np.linalg.inv(NATIVE[:3, :3]) @ (np.array([row.x_mm, row.y_mm, row.z_mm]) - centre)
        assert np.abs(offset).max() < 0.5
        own = detected & (ball(NATIVE_SHAPE, NATIVE, centre, radius + 5) > 0)
        assert row.voxels == own.sum()
        assert row.volume_ml == pytest.approx(own.sum() * voxel_ml, abs=1e-6)
        assert row.volume_ml == pytest.approx(4 / 3 * np.pi * (radius + 0.5) ** 3 / 1000, rel=0.15)
        places = np.argwhere(own)
        ends = [getattr(row, f"{axis}_{end}") for end in ("first", "last") for axis in "xyz"]
        assert ends == [*places.min(axis=0), *places.max(axis=0)]
        there = np.linalg.inv(POSE) @ [*centre, 1]
        atlas_place = [row.atlas_x_mm, row.atlas_y_mm, row.atlas_z_mm]
        np.testing.assert_allclose(atlas_place, there[:3], atol=1)
        assert np.linalg.norm(there[:3] - centre) > 10
    assert table["voxels"].sum() == detected.sum()


def test_what_the_native_grid_cannot_hold_is_listed_and_said(tmp_path, caplog):
    entry = scan(tmp_path)
    score = ball(ATLAS_SHAPE, ATLAS, [0, 0, 0], 9)
    # Beyond the scan's field of view.
    score += ball(ATLAS_SHAPE, ATLAS, [-36, -40, -32], 3)
    with caplog.at_level(logging.WARNING, logger="normscan"):
        table, detected = detections(score, entry)
    assert table["voxels"].tolist() == [detected.sum(), 0]
    assert table["volume_ml"][1] == 0 and table.loc[1, AXES].isna().all()
    assert table["atlas_voxels"][1] > 0
    assert "sub-01: 1 of 2 components have no voxel on the grid of its FLAIR" in caplog.text


def test_a_component_in_pieces_counts_once(tmp_path):
    entry = scan(tmp_path)
    # Joined by corners, which a finer grid takes apart.
    score = np.zeros(ATLAS_SHAPE)
    score[range(12, 28), range(12, 28), range(27, 11, -1)] = 1
    table, detected = detections(score, entry)
    assert label(detected)[1] > 1
    assert len(table) == 1 and table["voxels"][0] == detected.sum()
