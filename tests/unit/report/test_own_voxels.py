"""A scan's own voxels in the viewer: the same places as in atlas space, cropped, bounded."""

import base64
import gzip
from dataclasses import replace

import made_viewer
import nibabel
import numpy as np
import pytest
from scipy import ndimage

from normscan.files import save_nifti
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.resample import resample, to_native
from normscan.preprocessing.transforms import write_affine
from normscan.report import own_voxels
from normscan.report.own_voxels import NotShown, box_in, native_from_atlas, own_layer, voxel_size
from normscan.report.viewer import viewer_content
from normscan.slices.index import load_index

ATLAS, NATIVE = made_viewer.NATIVE_FROM_ATLAS, made_viewer.NATIVE
FLIP = np.diag([-1.0, -1, 1, 1])


def read_back(text: str) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


@pytest.fixture
def entry(tmp_path):
    """The made scan, turned and stretched against the atlas."""
    found = made_viewer.write_found(tmp_path)
    index = found.content["index"]
    made_viewer.place_natively(index, tmp_path)
    return load_index(index).scan(made_viewer.SCAN)


def layer_of(entry, **settings):
    return own_layer(entry, "FLAIR", made_viewer.volumes()["brain"] > 0, **settings)


def test_transforms_are_composed_in_the_order_of_ants(tmp_path):
    first, second = ATLAS, np.linalg.inv(ATLAS) @ ATLAS.T
    second[3] = [0, 0, 0, 1]
    files = [
        write_affine(tmp_path / f"{place}.mat", FLIP @ matrix @ FLIP)
        for place, matrix in enumerate((first, second))
    ]
    np.testing.assert_allclose(native_from_atlas(files), second @ first, atol=1e-9)


def test_a_landmark_lies_where_it_does_in_the_atlas_space_volume(tmp_path, entry):
    """A blob in native mm, once by the embedded affine, once resampled by ANTs."""
    landmark = [27.0, 22.0, 15.0]
    place = ATLAS @ [*landmark, 1]
    grid = np.stack(np.indices(NATIVE.shape), -1) @ NATIVE.affine[:3, :3].T + NATIVE.affine[:3, 3]
    blob = np.exp(-((grid - place[:3]) ** 2).sum(-1) / (2 * 3.0**2)).astype(np.float32)
    save_nifti(entry.native["FLAIR"], blob, NATIVE.affine, np.float32)

    atlas = Grid(entry.shape, np.asarray(entry.affine, float))
    moved = resample(blob, NATIVE, atlas, entry.transforms["FLAIR"])
    image = read_back(layer_of(entry)["nifti"])
    for values, affine in ((moved, atlas.affine), (image.get_fdata(), image.affine)):
        core = np.where(values > 0.3, values, 0)
        found = affine @ [*ndimage.center_of_mass(core), 1]
        np.testing.assert_allclose(found[:3], landmark, atol=0.2)


def test_every_own_voxel_lies_where_its_values_way_to_atlas_space_says(entry):
    image = read_back(layer_of(entry)["nifti"])
    np.testing.assert_allclose(
        np.linalg.norm(image.affine[:3, :3], axis=0),
        np.linalg.norm((np.linalg.inv(ATLAS) @ NATIVE.affine)[:3, :3], axis=0),
        rtol=1e-5,
    )
    # What is a voxel of the whole native volume is one of the crop, at the place the affine says.
    whole = np.asarray(nibabel.load(entry.native["FLAIR"]).dataobj)
    voxel = np.array([image.shape[0] // 2, image.shape[1] // 2, image.shape[2] // 2])
    mm = ATLAS @ image.affine @ [*voxel, 1]
    native = np.rint(np.linalg.solve(NATIVE.affine, mm)[:3]).astype(int)
    np.testing.assert_allclose(NATIVE.affine @ [*native, 1], mm, atol=1e-3)
    assert image.get_fdata()[tuple(voxel)] == pytest.approx(whole[tuple(native)], abs=0.5)


def test_the_crop_holds_all_of_the_brain_and_little_else(entry):
    brain = made_viewer.volumes()["brain"]
    native, _ = to_native(brain.astype(np.float32), entry, "FLAIR", np.diag([2.0, 2, 2, 1]))
    affine = np.linalg.inv(ATLAS) @ NATIVE.affine
    box = box_in(NATIVE.shape, affine, brain > 0, np.asarray(entry.affine, float))
    outside = native > 0.5
    outside[box] = False
    assert (native > 0.5).sum() > 1000 and not outside.any()
    tight = [np.ptp(places) + 1 for places in np.nonzero(native > 0.5)]
    for one, size, step in zip(box, tight, np.linalg.norm(affine[:3, :3], axis=0)):
        assert size <= one.stop - one.start <= size + 2 * own_voxels.MARGIN_MM / step + 6


def test_an_empty_brain_or_one_elsewhere_takes_all_of_the_volume():
    whole = (slice(0, 4), slice(0, 5), slice(0, 6))
    for brain, place in ((np.zeros((3, 3, 3), bool), 0), (np.ones((3, 3, 3), bool), 500)):
        affine = np.eye(4)
        affine[:3, 3] = place
        assert box_in((4, 5, 6), np.eye(4), brain, affine) == whole


def test_intensities_are_scaled_inside_of_the_brain(entry):
    path = entry.native["FLAIR"]
    image = nibabel.load(path)
    values = np.asarray(image.dataobj).copy()
    values[:2] = 1e6  # something bright that is no brain
    save_nifti(path, values, image.affine, np.float32)
    layer = layer_of(entry)
    assert 100 < layer["high"] < 170 and 0 <= layer["low"] < 60
    back = read_back(layer["nifti"])
    assert back.get_data_dtype() == np.uint8 and back.get_fdata().max() < 200


def test_equal_scans_give_equal_bytes(entry):
    assert layer_of(entry) == layer_of(entry)


def test_a_deformed_scan_has_none_and_says_why(entry):
    deformed = replace(entry, transforms={"FLAIR": ["warp.nii.gz", *entry.transforms["FLAIR"]]})
    with pytest.raises(NotShown, match="it was deformed to fit the atlas"):
        layer_of(deformed)


def test_a_large_scan_has_none_and_says_why(entry):
    amount = layer_of(entry)["amount"]
    assert layer_of(entry, room=amount)["amount"] == amount
    with pytest.raises(NotShown, match=f"{amount:,} voxels .* more than the {amount - 1:,} voxels"):
        layer_of(entry, room=amount - 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"native": {}}, "nothing says where its FLAIR lies"),
        ({"native": {"FLAIR": "/nowhere/raw.nii.gz"}}, "as it was given, cannot be read"),
        ({"transforms": {"FLAIR": ["/nowhere/a.mat"]}}, "a.mat, which brings it to the atlas"),
    ],
)
def test_what_is_not_there_is_said(entry, change, reason):
    with pytest.raises(NotShown, match=reason) as said:
        layer_of(replace(entry, **change))
    assert "/nowhere" not in str(said.value), "pages are handed on; folders are nobody's business"


def test_the_viewer_has_them_beside_the_slice_grid(tmp_path):
    shown = made_viewer.shown(tmp_path)
    made_viewer.place_natively(shown[0].found.content["index"], tmp_path)
    (pack,) = viewer_content(made_viewer.SCAN, shown)["packs"]
    assert pack["own"]["name"] == "FLAIR, own voxels" and pack["own"]["stands_for"] == "FLAIR"
    assert pack["voxels"] == "2 × 2 × 2 mm" and not pack["own_note"]
    assert pack["own"]["voxels"] == voxel_size(NATIVE.affine) == "0.851 × 0.855 × 1.2 mm"
    assert [one["name"] for one in pack["layers"]] == ["FLAIR"], "all else stays as it was"


def test_a_page_has_room_for_so_many(tmp_path, monkeypatch):
    shown = made_viewer.shown(tmp_path)
    monkeypatch.setattr(own_voxels, "LIMIT", 1000)
    (pack,) = viewer_content(made_viewer.SCAN, shown)["packs"]
    assert pack["own"] is None and "this page has room for" in pack["own_note"]
