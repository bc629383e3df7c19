"""How large a job's work is, for the memory and time that rules ask for."""

from __future__ import annotations

import os
from functools import cache

from normscan.streams import MAIN
from normscan.workflow.plan import Plan

# A 3D slice pack has this many slices per scan or fewer (1 mm, a whole brain).
SLICES_PER_SCAN = 160
FLOAT_BYTES = 4
# Of 256 slices of 256 x 256, compressed.
CONVERTED_MB = 20.0


class Sizes:
    """Sizes of a plan's jobs; files are looked at, never opened.

    Parameters
    ----------
    plan : the plan.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.largest_file_mb = cache(self.largest_file_mb)
        self._counts = {
            cohort: {shard: len(scans) for shard, scans in shards.items()}
            for cohort, shards in plan.cohorts.shards.items()
        }

    def scans(self, wildcards) -> int:
        """Scans that a job works on: of its shard, of its cohort, of its training set, or all."""
        if hasattr(wildcards, "cohort"):
            counts = self._counts[wildcards.cohort]
            if hasattr(wildcards, "shard"):
                # A shard of nothing but hosts is simulated, and stands in no cohort.
                return counts.get(wildcards.shard, 1)
            return sum(counts.values())
        if hasattr(wildcards, "training"):
            return self._training_scans(wildcards.training)
        return sum(sum(counts.values()) for counts in self._counts.values())

    def _training_scans(self, label: str) -> int:
        """Scans in a training set, of whose main stream a share may be asked."""
        found = self.plan.training.sets[label]
        whole = {
            name: sum(sum(self._counts[cohort].values()) for cohort in found.cohorts([name]))
            for name in found.streams
        }
        main = max(round(whole.pop(MAIN) * found.share / 100), 1)
        return main + sum(whole.values())

    def largest_file_mb(self, cohort: str, shard: str) -> float:
        """Size (MB on disk) of the largest file of a shard; 0 for scans that are simulated.

        DICOM files are of slices, or of far more than one series; a usual volume stands for them.
        """
        study = self.plan.cohorts.study
        scans = self.plan.cohorts.shards[cohort][shard]
        if cohort in study.synthetic:
            scans = [study.synthetic[cohort].pastes[scan.id].host for scan in scans]
        if any(scan.cohort in study.dicom for scan in scans):
            return CONVERTED_MB
        sizes = [
            os.path.getsize(path)
            for scan in scans
            if scan.cohort not in study.simulation
            for path in scan.images.values()
        ]
        return max(sizes, default=0) / 1e6

    def pack_mb(self, wildcards) -> float:
        """Size (MB) that the slice packs of a training set, cohort or shard have at most."""
        slices = self.plan.preprocessing.packs[wildcards.chain, wildcards.pack]
        pixels = slices.slices["size"] ** 2 * len(slices.contrasts)
        return self.scans(wildcards) * SLICES_PER_SCAN * pixels * FLOAT_BYTES / 1e6
