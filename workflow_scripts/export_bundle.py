"""Put together what screening other scans needs: weights, settings, thresholds, fingerprint."""

from pathlib import Path
from typing import Any

from job import run
from normscan.files import atomic_path, file_digest, read_json, write_json


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
    copies = {"weights.safetensors": "weights", "bundle.json": "model"}
    for name, key in copies.items():
        if files.get(key):
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(Path(files[key]).read_bytes())
            record["files"][name] = file_digest(folder / name)
    write_json(snakemake.output[0], record)


run(snakemake, main)
