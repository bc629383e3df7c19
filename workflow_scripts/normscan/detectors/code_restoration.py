"""Residual of restorations in which surprising codes were drawn anew from a prior of codes.

Source: Marimont and Tarroni 2021, "Anomaly detection through latent space restoration using
vector-quantized variational autoencoders": its abstract and the code published with it. A slice is
encoded as a map of codes; row by row, each code whose negative log likelihood under the prior is
above ``threshold`` is drawn anew, given the codes before it as they are by then. Several such maps
are decoded; the map is the weighted mean of the absolute residuals, a slice's score the sum of the
negative log likelihoods of its own codes as far as they are above ``score_threshold``.

From the published code: 15 restorations, their weights, softmax(3 / mean absolute residual) over
the restorations of a slice (in the paper's abstract: the average; here ``sharpness: 0``), the sum
over codes above a second, higher threshold as the score, and that a code is judged given the
restored codes before it. They have thresholds of 5 and 7 nats for 128 codes. Not from there:
``auto``, which takes quantiles of the likelihoods of healthy validation slices instead, so that
thresholds fit whatever codebook there is; their values (2 % of healthy codes are drawn anew, 1 %
count); the map's sign, that of the weighted mean residual. Left out: their smoothing of the map by
minimum and mean, since maps are filtered later.

A slice's random numbers come from a generator of its own. Codes of all restorations of a batch are
drawn together, each at its own place (``resample_codes``); a slice without surprising codes is
only reconstructed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import Detection, check_at_least, empty_arrays
from normscan.detectors.inference import (
    batches,
    count_batches,
    each_batch,
    for_inference,
    suitable_size,
    with_sign,
)
from normscan.detectors.sampling import slice_seed
from normscan.errors import ConfigError
from normscan.progress import progress
from normscan.slices.batch import Batch

if TYPE_CHECKING:
    from normscan.slices.store import SliceStore

TITLE = "the mean residual of restorations of surprising codes"
CITE = ["marimont2021"]
LINE = "dashed"
EXPECTED = "restored"
NEEDS = {"quantise", "code_likelihood"}
LEVELS = {"voxel", "slice"}
COST = 15.0
SETTINGS: dict[str, Any] = {
    "threshold": "auto",
    "quantile": 0.98,
    "score_threshold": "auto",
    "score_quantile": 0.99,
    "restorations": 15,
    "sharpness": 3.0,
    "batch_size": None,
}
ALLOWED = {
    "threshold": ["auto", "0.."],
    "quantile": "0..1",
    "score_threshold": ["auto", "0.."],
    "score_quantile": "0..1",
    "restorations": "1..",
    "sharpness": "0..",
    "batch_size": "whole 1..",
}
MEANING = {
    "threshold": "-log likelihood above which a code is drawn anew; auto: by quantile [nats]",
    "quantile": "share of the codes of healthy validation slices below threshold: auto",
    "score_threshold": "-log likelihood above which a code counts for a slice's score; auto: by "
    "score_quantile [nats]",
    "score_quantile": "likewise, below score_threshold: auto",
    "restorations": "of each slice",
    "sharpness": "how much the restorations nearest to a slice outweigh the others; 0: not at all",
}
# For tests of all detectors, on untrained models: about every other code. One restoration, whose
# residual is the map.
CHECKED_WITH = {"threshold": 2.8, "score_threshold": 2.8, "restorations": 1}
SIGNED = True
RESIDUAL = True
# Of a residual: below, a restoration is the slice itself.
NOTHING = 1e-6


class CodeRestoration:
    """Restorations of code maps; arguments as in ``detectors.base``.

    Raises
    ------
    ConfigError : a setting is out of range.
    """

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        threshold: float | str,
        quantile: float,
        score_threshold: float | str,
        score_quantile: float,
        restorations: int,
        sharpness: float,
        batch_size: int | None,
    ):
        self.model, self.device = for_inference(model, device), device
        self.thresholds = {"threshold": threshold, "score_threshold": score_threshold}
        self.quantiles = {"threshold": quantile, "score_threshold": score_quantile}
        for name, value in self.thresholds.items():
            if value != "auto":
                check_at_least(name, value, 0)
        for name, value in {"quantile": quantile, "score_quantile": score_quantile}.items():
            if check_at_least(name, value, 0) > 1:
                raise ConfigError(f"{name}: found {value}; must be at most 1")
        self.count = int(check_at_least("restorations", restorations, 1))
        self.sharpness = check_at_least("sharpness", sharpness, 0)
        self.size = suitable_size(batch_size, device)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map, the weighted mean of the restorations, and the scores of the slices.

        Raises
        ------
        ConfigError : a threshold is still ``auto``.
        """
        threshold, above = (self._found(name) for name in self.thresholds)
        scores, expectations = empty_arrays(scan)
        sums = np.empty(len(scan), np.float32)

        def compute(where: slice, batch: Batch[Tensor]) -> tuple[Tensor, list]:
            # The mode is one of a thread.
            with torch.inference_mode():
                codes = self.model.code_maps(batch.slices)
                surprise = self.model.code_surprise(codes)
                maps = self._restore(codes, surprise, threshold, seed, where.start)
                found = [self._compare(*pair) for pair in zip(batch.targets, maps)]
                return (surprise * (surprise > above)).flatten(1).sum(dim=1), found

        results = each_batch(compute, scan, self.size, self.device)
        for where, (total, found) in progress(
            results, "restoration of codes", count_batches(scan, self.size)
        ):
            sums[where] = total.cpu().numpy()
            for number, (score, mean) in enumerate(found, where.start):
                scores[number] = score.cpu().numpy()
                expectations[number] = mean.cpu().numpy()
        return Detection(scores, expectations, sums)

    def _found(self, name: str) -> float:
        value = self.thresholds[name]
        if isinstance(value, str):
            raise ConfigError(
                f"{name}: is '{value}'; find it on healthy scans first, or give a number"
            )
        return value

    def _restore(
        self, codes: Tensor, surprise: Tensor, threshold: float, seed: int, first: int
    ) -> list[Tensor]:
        """Restored maps (restorations, rows, columns) of each slice; (1, ...) of unsuspicious ones.

        Parameters
        ----------
        first : number in the scan of the first slice.
        """
        maps = list(codes[:, None])
        suspicious = (surprise > threshold).flatten(1).any(dim=1).nonzero().flatten().tolist()
        if not suspicious:
            return maps
        shape = self.count, *codes.shape[1:]
        drawn = [_uniforms(shape, seed, first + place, codes.device) for place in suspicious]
        repeated = codes[suspicious].repeat_interleave(self.count, dim=0)
        limit = surprise.new_full((1, 1, 1), threshold)
        restored = self.model.resample_codes(repeated, limit, torch.cat(drawn))
        for place, own in zip(suspicious, restored.split(self.count)):
            maps[place] = own
        return maps

    def _compare(self, slice_: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Signed score (h, w) and mean restoration (c, h, w) of a slice (c, h, w)."""
        residual = slice_ - self.model.decode_codes(codes)
        near = residual.abs().mean(dim=(1, 2, 3)).clamp_min(NOTHING)
        weights = (self.sharpness / near).softmax(dim=0).view(-1, 1, 1, 1)
        signed = (weights * residual).sum(dim=0)
        score = (weights * residual.abs()).sum(dim=0).mean(dim=0)
        return with_sign(score, signed.mean(dim=0)), slice_ - signed

    @torch.inference_mode()
    def tune(self, healthy: SliceStore) -> tuple[dict[str, float], dict[str, Any]]:
        """Quantiles of the negative log likelihoods of all codes of healthy slices.

        Returns
        -------
        settings, record : of the thresholds that are ``auto``; the record has a row for each in
            ``table`` (its name: nats, ``quantile``), and the number of ``codes``.
        """
        values = []
        for start in range(0, len(healthy), self.size):
            numbers = np.arange(start, min(start + self.size, len(healthy)))
            for _, batch in batches(healthy.batch(numbers), self.size, self.device):
                surprise = self.model.code_surprise(self.model.code_maps(batch.slices))
                values.append(surprise.flatten().cpu().numpy())
        nats = np.concatenate(values)
        wanted = [name for name, value in self.thresholds.items() if value == "auto"]
        found = {name: float(np.quantile(nats, self.quantiles[name])) for name in wanted}
        table = [{name: value, "quantile": self.quantiles[name]} for name, value in found.items()]
        facts = {"criterion": "quantile", "how": "quantile", "reason": "", "codes": nats.size}
        return found, {**facts, "table": table}


def _uniforms(shape: tuple[int, ...], seed: int, number: int, device: torch.device) -> Tensor:
    """Random numbers in [0, 1) of one slice of a scan."""
    generator = torch.Generator(device)
    generator.manual_seed(slice_seed(seed, number))
    return torch.rand(shape, generator=generator, device=device)


prepare = CodeRestoration
