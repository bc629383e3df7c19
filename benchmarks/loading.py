"""Loading random slices: one file per slice, compressed volumes, and the memory-mapped packs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from common import options, paired, setup, table

from normscan.files import load_nifti, save_nifti, write_json
from normscan.slices.batches import DeviceSlices, epoch_batches
from normscan.slices.index import PackIndex, ScanEntry
from normscan.slices.store import SliceStore


def write_pack(folder: Path, number: int, slices: np.ndarray) -> Path:
    """One shard of one scan."""
    path = folder / f"{number:02d}.json"
    np.save(path.with_suffix(".npy"), slices)
    count, _, size, _ = slices.shape
    entry = ScanEntry(
        f"sub-{number}", str(number), "", 0, count, list(range(count)), (size, size, count), [],
        brain_voxels=[size**2] * count, lesion_voxels=[0] * count,
    )  # fmt: skip
    index = PackIndex("bench", path.stem, size, ["FLAIR"], [], "", {}, {}, [entry])
    write_json(path, index.to_json())
    return path


def main() -> None:
    arguments = options(__doc__, size=128, scans=8, slices=100, batch=64)
    device = setup(arguments)
    random = np.random.default_rng(0)
    shape = (arguments.slices, 1, arguments.size, arguments.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packs, singles, volumes = [], [], []
        for number in range(arguments.scans):
            slices = random.random(shape, np.float32)
            packs.append(write_pack(folder, number, slices))
            volumes.append(folder / f"{number}.nii.gz")
            save_nifti(volumes[-1], slices[:, 0].transpose(1, 2, 0), np.eye(4))
            for z, image in enumerate(slices):
                singles.append(folder / f"{number}-{z}.npy")
                np.save(singles[-1], image)
        source = DeviceSlices(SliceStore(packs), device)
        batches = epoch_batches(len(source), arguments.batch, 0)
        few = batches[0][:4]
        seconds = paired(
            {
                "packs": lambda: [source(numbers) for numbers in batches],
                "file per slice": lambda: [
                    np.stack([np.load(singles[i]) for i in n]) for n in batches
                ],
                "compressed volumes": lambda: [
                    load_nifti(volumes[i // arguments.slices])[0][:, :, i % arguments.slices]
                    for i in few
                ],
            },
            arguments.repeats,
            device,
        )
    counts = {"packs": len(source), "file per slice": len(source), "compressed volumes": len(few)}
    rates = {name: counts[name] / seconds[name] for name in counts}
    rows = [
        {"variant": name, "slices/s": rate, "times file per slice": rate / rates["file per slice"]}
        for name, rate in rates.items()
    ]
    table(f"random {arguments.size}x{arguments.size} slices, as batches on the device", rows)


if __name__ == "__main__":
    main()
