"""3D median of an anomaly map: sorting networks of the brain's box, SimpleITK, SciPy."""

from __future__ import annotations

import numpy as np
import SimpleITK
from common import options, paired, setup, table
from scipy import ndimage

from normscan.postprocessing.median import median_filter


def anomaly_map(shape: tuple[int, int, int]) -> np.ndarray:
    """Scores in an ellipsoid that fills 80 % of each side, as a brain does."""
    axes = [np.linspace(-1.25, 1.25, size) for size in shape]
    brain = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)) < 1
    return np.abs(np.random.default_rng(0).normal(size=shape).astype(np.float32)) * brain


def with_simpleitk(volume: np.ndarray, width: int) -> np.ndarray:
    """The whole volume; ITK's border repeats voxels, which are zero here."""
    image = SimpleITK.GetImageFromArray(volume)
    return SimpleITK.GetArrayFromImage(SimpleITK.Median(image, [width // 2] * 3))


def main() -> None:
    arguments = options(__doc__, width=5)
    setup(arguments)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(arguments.threads)
    width, many = arguments.width, f"networks, {arguments.threads} threads"
    for shape in ((64, 64, 60), (240, 240, 155)):
        volume = anomaly_map(shape)
        variants = {
            "SciPy": lambda: ndimage.median_filter(volume, width, mode="constant"),  # noqa: B023
            "SimpleITK": lambda: with_simpleitk(volume, width),  # noqa: B023
            "networks": lambda: median_filter(volume, width),  # noqa: B023
            many: lambda: median_filter(volume, width, arguments.threads),  # noqa: B023
        }
        expected = variants["SciPy"]()
        equal = {name: bool(np.array_equal(run(), expected)) for name, run in variants.items()}
        seconds = paired(variants, arguments.repeats, clock=arguments.clock, warmup=0)
        rows = [
            {
                "variant": name,
                "seconds": seconds[name],
                "times SciPy": seconds["SciPy"] / seconds[name],
                "equal": equal[name],
            }
            for name in variants
        ]
        table(f"{width}x{width}x{width} median, {'x'.join(map(str, shape))}", rows)


if __name__ == "__main__":
    main()
