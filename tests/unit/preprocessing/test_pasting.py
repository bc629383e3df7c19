"""Lesions go from one head to another on any grids; nothing else of the host changes."""

from functools import partial

import made_heads as phantoms
import numpy as np
import pytest
from scipy import ndimage

from normscan.cohorts.scans import Scan
from normscan.errors import ScanError
from normscan.files import load_nifti
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.pasting import Host, aligned, lesion_of, moved
from normscan.preprocessing.synthesis import COLUMNS, synthesise
from normscan.preprocessing.volumes import Prepared

HEALTHY = {**phantoms.T1W, "spot": phantoms.T1W["white"]}
TURNED = phantoms.rigid((4, -3, 6), (5, -4, 6))
SPACES = {"skull_stripped": True, "space": "phantom", "labels": []}
SETTINGS = {
    "masks": "",
    "atlas": "phantom",
    "lesion_contrasts": {},
    "blend": "add",
    "intensities": "",
    "contrast": {},
    "strength": 1.0,
    "radius": [6.0, 12.0],
    "mass_effect": [0.0, 0.0],
    "inside": 0.5,
    "seed": 0,
}


def scan(folder, cohort, subject, grid, values, pose=None, skull=False, labels=None):
    """A scan with one contrast, a lesion mask if labels are given (spot -> label)."""
    image = phantoms.head(grid, values, pose, skull, seed=int(subject), noise=3)
    path = phantoms.save(folder / f"sub-{subject}_T1w.nii.gz", image, grid)
    lesion = ""
    if labels is not None:
        data = phantoms.mask(grid, phantoms.spot, pose) * labels
        lesion = phantoms.save(folder / f"sub-{subject}_dseg.nii.gz", data, grid, np.int16)
    return Scan(cohort, subject, images={"T1w": path}, lesion_mask=lesion)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return scan(tmp_path_factory.mktemp("host"), "ixi", "01", phantoms.grid(4.0), HEALTHY)


@pytest.fixture(scope="module")
def donor(tmp_path_factory):
    """A patient in the same space on a turned, thick-sliced grid."""
    grid = phantoms.grid((3.0, 3.0, 5.0), affine=TURNED)
    return scan(tmp_path_factory.mktemp("d"), "gliomas", "05", grid, phantoms.T1W, labels=4)


def target(folder, host):
    own = {name: str(folder / f"{name}.nii.gz") for name in host.images}
    lesion = str(folder / "lesion.nii.gz")
    return Scan("pasted", host.subject, host.session, own, "", lesion)


def paste(folder, host, donors, hosts=SPACES, lesions=SPACES, atlases=None, **settings):
    to = target(folder, host)
    row = synthesise(
        to,
        host,
        donors,
        hosts=hosts,
        lesions=lesions,
        atlases=atlases or {},
        **{**SETTINGS, **settings},
    )
    before, after = (load_nifti(one.images["T1w"])[0] for one in (host, to))
    labels, affine = load_nifti(to.lesion_mask, np.int32)
    assert np.allclose(affine, Grid.of(host.images["T1w"]).affine, atol=1e-4)
    return row, before, after, labels


def test_nothing_but_the_lesion_changes_and_it_keeps_its_place_and_volume(tmp_path, host, donor):
    row, before, after, labels = paste(tmp_path, host, [donor])
    assert before[labels == 0].tobytes() == after[labels == 0].tobytes()
    assert set(np.unique(labels)) == {0, 4}
    grid = Grid.of(host.images["T1w"])
    wanted = phantoms.mask(grid, phantoms.spot)
    # Within a shell of one voxel on either side.
    assert not ((labels != 0) & ~ndimage.binary_dilation(wanted, np.ones((3, 3, 3)))).any()
    assert not (ndimage.binary_erosion(wanted, np.ones((3, 3, 3))) & (labels == 0)).any()
    assert row["lesion_ml"] == pytest.approx((labels != 0).sum() * grid.voxel_ml, abs=1e-3)
    assert tuple(row) == COLUMNS
    assert (row["host"], row["lesion"], row["scan"]) == ("ixi/sub-01", "gliomas/sub-05", "sub-01")


def test_equation_15_on_another_grid(tmp_path, host, donor):
    _, before, after, labels = paste(tmp_path, host, [donor], strength=0.5)
    image, source = read_volume(donor.images["T1w"])
    seen = moved(image, source, Grid.of(host.images["T1w"]), np.eye(4), "linear")[labels != 0]
    pattern = (seen - seen.min()) / (seen.max() - seen.min())
    scale = np.percentile(before[before > 0], 99) - before.min()
    change = (after - before)[labels != 0]
    np.testing.assert_allclose(change, 0.5 * scale * pattern, atol=0.02 * scale)
    assert change.max() == pytest.approx(0.5 * scale, rel=0.02) and change.min() >= 0


def test_equal_inputs_give_equal_bytes(tmp_path, host, donor):
    for name, masks in (("lesions", ""), ("balls", "spheres")):
        made = []
        for turn in ("one", "two"):
            folder = tmp_path / name / turn
            lesions = {} if masks else SPACES
            paste(folder, host, [] if masks else [donor], lesions=lesions, masks=masks)
            made.append([(folder / one).read_bytes() for one in ("T1w.nii.gz", "lesion.nii.gz")])
        assert made[0] == made[1]


def test_labels_that_do_not_count_are_not_pasted(tmp_path, host, donor):
    data, affine = load_nifti(donor.lesion_mask, np.int16)
    both = data.copy()
    both[: data.shape[0] // 2] *= 2
    both[np.unravel_index(data.argmax(), data.shape)] = 2
    labelled = phantoms.save(tmp_path / "both.nii.gz", both, Grid(data.shape, affine), np.int16)
    other = Scan("gliomas", "05", images=donor.images, lesion_mask=labelled)
    lesions = {**SPACES, "labels": [4]}
    _, before, after, labels = paste(tmp_path, host, [other], lesions=lesions)
    assert set(np.unique(labels)) == {0, 4}
    assert np.array_equal(before[labels == 0], after[labels == 0])


def test_a_lesion_outside_of_the_brain_is_passed_over(tmp_path, host, donor):
    data, affine = load_nifti(donor.lesion_mask, np.int16)
    outside = np.zeros_like(data)
    outside[:4, :4, :4] = 1
    where = Grid(data.shape, affine)
    path = phantoms.save(tmp_path / "outside.nii.gz", outside, where, np.int16)
    other = Scan("gliomas", "09", images=donor.images, lesion_mask=path)
    row, *_ = paste(tmp_path, host, [other, donor])
    assert row["lesion"] == "gliomas/sub-05"
    assert row["passed_over"] == "gliomas/sub-09: 0% of it would be inside, below 50%"
    empty = phantoms.save(tmp_path / "empty.nii.gz", outside * 0, where, np.int16)
    none = Scan("gliomas", "08", images=donor.images, lesion_mask=empty)
    with pytest.raises(ScanError) as error:
        paste(tmp_path, host, [other, none])
    for part in ("sub-01: ", "none of 2 lesion(s) fits", "sub-09: 0%", "holds no lesion", "lower"):
        assert part in str(error.value)


def test_a_lesion_is_cut_at_the_brain(tmp_path, host, donor):
    data, affine = load_nifti(donor.lesion_mask, np.int16)
    grid = Grid(data.shape, affine)
    edge = partial(phantoms.ellipsoid, centre=(62, 0, 0), radii=(14, 14, 14))
    path = phantoms.save(tmp_path / "edge.nii.gz", phantoms.mask(grid, edge), grid, np.int16)
    other = Scan("gliomas", "05", images=donor.images, lesion_mask=path)
    row, before, after, labels = paste(tmp_path, host, [other], inside=0.2)
    assert 0.2 < row["inside"] < 0.9
    assert not (labels[before == 0] != 0).any() and not after[before == 0].any()


def test_masks_alone_get_intensities(tmp_path, host, donor):
    mask = Scan("", "mask", lesion_mask=donor.lesion_mask)
    settings = {"masks": "x", "contrast": {"T1w": -0.5}}
    # The host is in the space of the masks: nothing is registered.
    settings["atlases"] = {"phantom": {"head": host.images["T1w"]}}
    row, before, after, labels = paste(tmp_path, host, [mask], lesions={}, **settings)
    assert row["lesion"] == "mask" and np.array_equal(before[labels == 0], after[labels == 0])
    inside = ndimage.binary_erosion(labels != 0)
    assert (after - before)[inside].mean() == pytest.approx(-0.4 * before[inside].mean(), rel=0.3)


def test_spheres_need_neither_patients_nor_an_atlas(tmp_path, host):
    row, before, after, labels = paste(tmp_path, host, [], lesions={}, masks="spheres")
    assert row["lesion"] == "sphere 1" and row["inside"] >= 0.5
    assert len(np.unique(after[labels != 0])) == 1
    assert np.array_equal(before[labels == 0], after[labels == 0])


def test_the_masks_of_patients_may_get_intensities_of_their_own(tmp_path, host, donor):
    """Their images are needed for their place only: what is pasted is made."""
    row, before, after, labels = paste(tmp_path, host, [donor], intensities="above")
    own, *_, same = paste(tmp_path / "own", host, [donor])
    assert np.array_equal(labels, same) and (row["intensities"], own["intensities"]) == (
        "above", "own",
    )  # fmt: skip
    assert after[ndimage.binary_erosion(labels != 0)].min() > np.percentile(before[before > 0], 98)
    assert np.array_equal(before[labels == 0], after[labels == 0])


def test_mixed_cohorts_hold_several_kinds_and_a_mass_effect_moves_the_tissue_around(tmp_path, host):
    rows, changed = [], []
    for seed in range(6):
        mixed = {"masks": "mixed", "intensities": "mixed", "mass_effect": [0, 6], "seed": seed}
        row, before, after, labels = paste(tmp_path / str(seed), host, [], lesions={}, **mixed)
        rows.append(row)
        changed.append((before != after)[(labels == 0) & (before > 0)].mean())
        assert np.array_equal(before[before == 0], after[before == 0])
    assert len({row["lesion"].split()[0] for row in rows}) > 1
    assert len({row["intensities"] for row in rows}) > 1
    pushes = [row["mass_effect_mm"] for row in rows]
    assert len(set(pushes)) == 6 and all(0 <= one <= 6 for one in pushes)
    assert max(changed) > 0.2


def test_heads_apart_are_brought_together_by_the_atlas(tmp_path, own_atlas):
    """A head with skull as host, a stripped brain of a patient elsewhere in space."""
    place = phantoms.grid(4.0, affine=phantoms.POSE)
    host = scan(tmp_path, "ixi", "01", place, HEALTHY, phantoms.POSE, skull=True)
    pose = phantoms.rigid((-5, 4, -8), (-6, 8, -4))
    grid = phantoms.grid((4.0, 4.0, 5.0), affine=pose)
    patient = scan(tmp_path, "gliomas", "05", grid, phantoms.T1W, pose, labels=1)
    heads = {"skull_stripped": False, "space": "", "labels": []}
    brains = {"skull_stripped": True, "space": "", "labels": []}
    _, before, after, labels = paste(
        tmp_path, host, [patient], hosts=heads, lesions=brains, atlases=own_atlas
    )
    wanted = phantoms.mask(place, phantoms.spot, phantoms.POSE)
    found = np.array([ndimage.center_of_mass(one) for one in (labels != 0, wanted)])
    assert np.linalg.norm((found[0] - found[1]) * 4) < 6
    assert (labels != 0).sum() == pytest.approx(wanted.sum(), rel=0.35)
    assert np.array_equal(before[labels == 0], after[labels == 0])


def test_spheres_lie_in_the_brain_of_a_head(tmp_path, own_atlas):
    place = phantoms.grid(4.0, affine=phantoms.POSE)
    host = scan(tmp_path, "ixi", "01", place, HEALTHY, phantoms.POSE, skull=True)
    heads = {"skull_stripped": False, "space": "", "labels": []}
    row, before, after, labels = paste(
        tmp_path, host, [], hosts=heads, lesions={}, atlases=own_atlas, masks="spheres"
    )
    brain = phantoms.mask(place, phantoms.brain, phantoms.POSE)
    assert ((labels != 0) & brain).sum() > 0.9 * (labels != 0).sum()
    # As bright as bright tissue, not as scalp.
    assert after[labels != 0].max() == pytest.approx(np.percentile(before[brain], 99), rel=0.1)


def test_contrasts_on_other_grids_show_the_lesion_in_the_same_place(tmp_path, patient):
    images = {"T1w": patient.images["T1w"], "FLAIR": patient.images["FLAIR"]}
    host = Scan("ixi", "01", images=images, brain_mask=patient.brain)
    affines = aligned(host, False, "", "", None, 0)
    place = Host("ixi/sub-01", Prepared.from_scan(host), affines, False)
    flair = Scan("gliomas", "01", images=images, lesion_mask=patient.lesions)
    lesion = lesion_of(flair, affines, (), {})
    on_t1w = place.labels(lesion, "T1w") != 0
    wanted = phantoms.mask(Grid.of(images["T1w"]), phantoms.spot, phantoms.POSE)
    assert 2 * (on_t1w & wanted).sum() / (on_t1w.sum() + wanted.sum()) > 0.75
    assert place.inside(lesion) > 0.95
