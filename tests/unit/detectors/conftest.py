"""Slices and models for all tests of detectors."""

import numpy as np
import pytest
import torch
from fake_models import Convolutional, Linear

# Such small tensors gain nothing from threads, and threads wait for each other on a busy machine.
torch.set_num_threads(1)


@pytest.fixture
def slices():
    return np.random.default_rng(3).random((7, 1, 4, 4), dtype=np.float32)


@pytest.fixture
def brain(slices):
    return np.ones((len(slices), *slices.shape[2:]), bool)


@pytest.fixture
def linear():
    return Linear()


@pytest.fixture
def convolutional():
    return Convolutional()
