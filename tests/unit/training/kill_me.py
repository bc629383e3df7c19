"""A slow training in a process of its own, to be killed.

Needs the library on PYTHONPATH. Arguments: family, folder of checkpoints, seconds per batch.
"""

import sys
import time
from pathlib import Path

import torch
from toys import MadeStore, build_adversarial

from normscan.compute.devices import make_deterministic
from normscan.files import value_digest
from normscan.models import registry
from normscan.training.loop import train


class SlowStore(MadeStore):
    """Takes its time, so that the process can be killed in between."""

    wait = 0.0

    def batch(self, numbers):
        time.sleep(self.wait)
        return super().batch(numbers)


def train_slowly(family: str, folder: Path | None, wait: float) -> str:
    """Train; the digest of weights and history."""
    make_deterministic()
    torch.set_num_threads(1)
    if family == "adversarial":
        model = build_adversarial(1, 16)
    else:
        model = registry.build(family, (1, 1, 16), latent=8)
    store = SlowStore(20)
    store.wait = wait
    options = {"batch_size": 5, "max_epochs": 4, "checkpoint_steps": 3}
    history = train(model, store, MadeStore(6, seed=1), seed=3, checkpoint=folder, **options)
    weights = {name: value.tolist() for name, value in model.state_dict().items()}
    return value_digest([weights, history])


if __name__ == "__main__":
    print(train_slowly(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
