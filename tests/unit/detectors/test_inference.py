"""Scores from residuals; reconstruction against a closed form."""

import threading

import numpy as np
import pytest
import torch
from fake_models import CPU, detect

from normscan.detectors.inference import (
    batches,
    count_batches,
    each_batch,
    for_inference,
    signed_score,
)
from normscan.slices.batch import Batch


def test_score_is_the_mean_absolute_residual_with_the_sign_of_the_mean():
    residual = torch.tensor([[1.0, -3.0], [2.0, -1.0], [0.0, 0.0], [1.0, -1.0]])
    score = signed_score(residual[:, :, None, None]).flatten()
    # Where contrasts cancel out the score stays.
    assert score.tolist() == [-2.0, 1.5, 0.0, 1.0]


def test_reconstruction_is_the_posterior_mean(linear, slices, brain):
    found = detect("reconstruction", linear, slices, brain)
    weight = linear.weight.detach().double().numpy()
    flat = slices.reshape(len(slices), -1).astype(float)
    code = np.linalg.solve(weight.T @ weight + np.eye(3), weight.T @ flat.T)
    expected = (weight @ code).T.reshape(slices.shape)
    np.testing.assert_allclose(found.reconstruction, expected, atol=1e-5)
    np.testing.assert_allclose(found.map, (slices - expected)[:, 0], atol=1e-5)


def test_every_slice_is_in_one_batch(slices):
    scan = Batch.of(slices, layers={"brain": slices[:, 0] > 0})
    parts = list(batches(scan, 3, CPU))
    assert len(parts) == count_batches(scan, 3) == 3
    assert all(part.targets is part.slices for _, part in parts)
    for name, expected in (("slices", slices), ("layers", slices[:, 0] > 0)):
        found = [getattr(part, name) for _, part in parts]
        found = [one["brain"] if name == "layers" else one for one in found]
        np.testing.assert_array_equal(torch.cat(found), expected)
    assert [(where.start, where.stop) for where, _ in parts] == [(0, 3), (3, 6), (6, 7)]


def test_networks_are_made_ready_in_a_copy(convolutional):
    ready = for_inference(convolutional.train(), CPU)
    assert not ready.training and convolutional.training
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    images = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(ready.reconstruct(images), convolutional.eval().reconstruct(images))


@pytest.fixture
def with_threads():
    """A function that sets the number of torch's threads for the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_batches_are_computed_in_order_whatever_the_number_of_threads(
    slices, with_threads, threads
):
    with_threads(threads)
    seen = set()

    def compute(where, batch):
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return where.start, batch.slices.sum(dim=(1, 2, 3)).numpy()

    found = list(each_batch(compute, Batch.of(slices), 2, CPU))
    assert [(where.start, result[0]) for where, result in found] == [(n, n) for n in (0, 2, 4, 6)]
    sums = np.concatenate([result[1] for _, result in found])
    np.testing.assert_allclose(sums, slices.sum(axis=(1, 2, 3)), rtol=1e-5)
    # Four batches: with eight threads two for each of them.
    assert {own for _, own in seen} == {max(1, threads // 4)}
    assert (threading.get_ident() in {thread for thread, _ in seen}) == (threads == 1)
    assert torch.get_num_threads() == threads


def test_a_fault_in_one_of_the_batches_is_told(slices, with_threads):
    with_threads(2)

    def compute(where, batch):
        if where.start == 4:
            raise ValueError("slice 4")

    with pytest.raises(ValueError, match="slice 4"):
        list(each_batch(compute, Batch.of(slices), 2, CPU))
    assert torch.get_num_threads() == 2
