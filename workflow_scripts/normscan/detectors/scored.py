"""Detectors that give what a model says of slices as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.inference import batches, for_inference, suitable_size
from normscan.slices.batch import Batch


class Scored:
    """A model that is asked once for every slice; arguments as in ``detectors.base``."""

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        batch_size: int | None,
    ):
        self.model, self.device = for_inference(model, device), device
        self.size = suitable_size(batch_size, device)

    @torch.inference_mode()
    def scores(self, score: Callable[[Tensor], Tensor], scan: Batch[np.ndarray]) -> np.ndarray:
        """``score(slices)`` of all slices of a scan, float32."""
        found = batches(scan, self.size, self.device)
        return np.concatenate([score(one.slices).float().cpu().numpy() for _, one in found])
