"""Put together what screening other scans needs: weights, settings, thresholds, fingerprint."""

from pathlib import Path
from typing import Any

from job import run
from normscan.files import atomic_path, file_digest, read_json
from normscan.postprocessing.exported import write_record


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    folder = Path(params.folder)
    record: dict[str, Any] = {**params.approach, "seed": int(snakemake.wildcards.seed)}
    record["settings"] = dict(record["settings"])
    record["fingerprint"] = params.fingerprint
    record["thresholds"] = read_json(files.thresholds)
    record["files"] = {}
    if files.get("tuned"):
        record["settings"] |= read_json(files.tuned)["settings"]
    for name, source in copies(files, params.uses).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(Path(source).read_bytes())
        record["files"][name] = file_digest(folder / name)
    write_record(snakemake.output[0], record)


def copies(files: Any, roles: list[str]) -> dict[str, str]:
    """Name in the bundle -> file: the model's, and those of the models that a detector uses."""
    found = {}
    if files.get("weights"):
        found = {"weights.safetensors": files.weights, "bundle.json": files.model}
    used = files.get("used_weights", []), files.get("used_bundles", [])
    for role, weights, bundle in zip(roles, *used):
        found[f"uses/{role}/weights.safetensors"] = weights
        found[f"uses/{role}/bundle.json"] = bundle
    return found


run(snakemake, main)
