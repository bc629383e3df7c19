"""Scores from residuals; reconstruction against a closed form."""

import numpy as np
import torch
from fake_models import CPU

from normscan.detectors import reconstruction
from normscan.detectors.inference import batches, count_batches, for_inference, signed_score


def test_score_is_the_mean_absolute_residual_with_the_sign_of_the_mean():
    residual = torch.tensor([[1.0, -3.0], [2.0, -1.0], [0.0, 0.0], [1.0, -1.0]])
    score = signed_score(residual[:, :, None, None]).flatten()
    # Where contrasts cancel out the score stays.
    assert score.tolist() == [-2.0, 1.5, 0.0, 1.0]


def test_reconstruction_is_the_posterior_mean(linear, slices, brain):
    found = reconstruction.detect(linear, slices, brain, seed=0, device=CPU)
    weight = linear.weight.detach().double().numpy()
    flat = slices.reshape(len(slices), -1).astype(float)
    code = np.linalg.solve(weight.T @ weight + np.eye(3), weight.T @ flat.T)
    expected = (weight @ code).T.reshape(slices.shape)
    np.testing.assert_allclose(found.reconstruction, expected, atol=1e-5)
    np.testing.assert_allclose(found.map, (slices - expected)[:, 0], atol=1e-5)


def test_every_slice_is_in_one_batch(slices):
    parts = list(batches(slices, 3, CPU))
    assert len(parts) == count_batches(slices, 3) == 3
    np.testing.assert_array_equal(np.concatenate([part.numpy() for _, part in parts]), slices)
    assert [(where.start, where.stop) for where, _ in parts] == [(0, 3), (3, 6), (6, 7)]


def test_networks_are_made_ready_in_a_copy(convolutional):
    ready = for_inference(convolutional.train(), CPU)
    assert not ready.training and convolutional.training
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    images = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(ready.reconstruct(images), convolutional.eval().reconstruct(images))
