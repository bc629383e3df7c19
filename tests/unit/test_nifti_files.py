"""Volumes on disk: what other tools read of them."""

import nibabel
import numpy as np

from normscan.files import load_nifti, save_nifti


def test_both_affines_of_a_volume_name_its_place(tmp_path):
    angle = 0.3
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.0, 1.5, 3.0])
    affine[:3, 3] = [90.0, -40.0, 12.0]
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    path = tmp_path / "volume.nii.gz"
    save_nifti(path, data, affine)
    image = nibabel.load(path)
    for stored, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code > 0
        assert np.allclose(stored, affine, atol=1e-4)
    assert np.array_equal(load_nifti(path)[0], data)


def test_a_written_volume_depends_on_nothing_but_its_content(tmp_path):
    data = np.ones((2, 3, 4), np.float32)
    for name in ("one.nii.gz", "two.nii.gz"):
        save_nifti(tmp_path / name, data, np.eye(4))
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
