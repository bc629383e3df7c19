"""A shard of scans through one step: what is done stays done, one bad scan stops or is left out.

A scan's results are written into a temporary folder that is renamed when complete. Beside them lies
``record.json`` with a key of everything that determines them, so that a killed job goes on where it
stopped and a grown shard costs only its new scans.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from normscan.errors import CohortError, ConfigError, MachineError, NormscanError
from normscan.faults import is_machine_fault
from normscan.files import (
    PARTIAL,
    are_unchanged,
    file_digest,
    file_digests,
    note_placed,
    read_json,
    value_digest,
    write_json,
)
from normscan.preprocessing.volumes import NATIVE, Prepared
from normscan.progress import progress

LOG = logging.getLogger("normscan")
RAW = "raw"
RECORD = "record.json"
REACTIONS = ("stop", "exclude")


def raw_manifest(
    cohort: str,
    shard: str,
    scans: Iterable,
    contents: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Manifest of unprocessed scans; keys are digests of the files' contents.

    Parameters
    ----------
    scans : ``normscan.cohorts.scans.Scan`` objects.
    contents : scan id -> contrast -> digest of its voxels; goes with the scan to the last stage.
    """
    entries = []
    for scan in scans:
        prepared = Prepared.from_scan(scan)
        prepared = replace(prepared, content=dict((contents or {}).get(scan.id, {})))
        files = {name: file_digest(path) for name, path in prepared.images.items()}
        given = (prepared.brain, prepared.lesions, *filter(None, [prepared.anatomy]))
        masks = [file_digest(path) if path else "" for path in given]
        key = value_digest([prepared.scan, files, masks])
        entries.append({**prepared.to_json(), "key": key})
    return {
        "cohort": cohort,
        "shard": shard,
        "chain": [RAW],
        "space": NATIVE,
        "scans": entries,
        "excluded": [],
    }


def prepared_scans(manifest: dict[str, Any]) -> list[Prepared]:
    """The scans of a manifest."""
    return [Prepared.from_json(entry) for entry in manifest["scans"]]


def process_shard(
    manifest_in: dict[str, Any],
    out_folder: str | Path,
    run_one: Callable[[Prepared, Path], Prepared],
    *,
    key_extra: Any,
    on_bad_scan: str,
    step: str = "",
    contrasts: Iterable[str] | None = None,
    damaged: Callable[[list[str]], str] = lambda files: "",
) -> dict[str, Any]:
    """Run one step on every scan of a shard.

    Parameters
    ----------
    manifest_in : manifest of the step before (or :func:`raw_manifest`).
    out_folder : results go to ``out_folder/{scan}``.
    run_one : the step; writes into the folder it is given and returns the new scan.
    key_extra : what determines the result besides the scan: settings, seed, code (JSON-like).
    on_bad_scan : ``stop``: after trying all scans, raise; ``exclude``: go on without bad ones.
        A wrong setting, or a fault of the machine, stops at once whatever it says.
    step : label of the step, added to the manifest's chain.
    contrasts : images to carry on; None: all.
    damaged : what is wrong with files that earlier steps made; empty where nothing is.

    Returns
    -------
    manifest : JSON-like, see :func:`raw_manifest`; ``excluded`` lists scans and reasons.

    Raises
    ------
    CohortError : every problem at once, each naming its scan.
    MachineError : no room, no rights, a broken disk, a killed program, a file damaged since.
    ConfigError : a setting that cannot be.
    """
    if on_bad_scan not in REACTIONS:
        raise ConfigError(f"on_bad_scan: found '{on_bad_scan}'; allowed: {', '.join(REACTIONS)}")
    out_folder = Path(os.path.abspath(out_folder))
    wanted = None if contrasts is None else sorted(contrasts)
    entries, excluded, problems = [], list(manifest_in["excluded"]), []
    failed: list[str] = []
    title = f"{manifest_in['cohort']} {manifest_in['shard']} {step}".strip()
    for entry in progress(manifest_in["scans"], title):
        scan = entry["scan"]
        key = value_digest([key_extra, _content_key(entry), wanted])
        try:
            done = _done(out_folder, entry, key)
            entries.append(done or _do(entry, out_folder, run_one, key, wanted))
        except (MemoryError, ConfigError, MachineError):
            raise
        except Exception as error:
            reason = _reason(scan, error)
            if is_machine_fault(error, out_folder):
                raise MachineError(
                    f"{reason}; this is a fault of the machine and not of the scan: mend it and "
                    "run again, finished scans are kept"
                ) from error
            LOG.error("%s", reason)
            problems.append(reason)
            failed += Prepared.from_json(entry).files()
            excluded.append({"scan": scan, "reason": reason})
    # What was damaged after an earlier step is no scan's fault.
    if problems and (lost := damaged(failed)):
        raise MachineError("; ".join([*problems, lost]))
    if problems and on_bad_scan == "stop":
        raise CohortError(manifest_in["cohort"], problems)
    spaces = {entry["space"] for entry in entries}
    return {
        "cohort": manifest_in["cohort"],
        "shard": manifest_in["shard"],
        "chain": [*manifest_in["chain"], *([step] if step else [])],
        "space": spaces.pop() if len(spaces) == 1 else manifest_in["space"],
        "scans": entries,
        "excluded": excluded,
    }


def _content_key(entry: dict[str, Any]) -> Any:
    """What a scan's content is: the key of the step before, or digests of its files."""
    if entry.get("key"):
        return entry["key"]
    prepared = Prepared.from_json(entry)
    return [prepared.scan, [file_digest(path) for path in prepared.files()]]


def _done(out_folder: Path, entry: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The record of a scan that was processed from the same content in the same way."""
    folder = out_folder / entry["scan"]
    if not (folder / RECORD).is_file():
        return None
    try:
        record = read_json(folder / RECORD)
    except NormscanError:
        return None
    # A record's paths are right only where it was made.
    if record.get("key") != key or record.get("folder") != str(folder):
        return None
    if not are_unchanged(folder, record["files"]):
        return None
    note_placed([folder / RECORD, *(folder / name for name in record["files"])])
    # Equal content may have come from another place than last time.
    return {**record["entry"], "native": entry["native"]}


def _do(
    entry: dict[str, Any],
    out_folder: Path,
    run_one: Callable[[Prepared, Path], Prepared],
    key: str,
    contrasts: list[str] | None,
) -> dict[str, Any]:
    final = out_folder / entry["scan"]
    # A fixed name: what a killed job left behind is found and removed.
    partial = out_folder / f".{entry['scan']}{PARTIAL}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        prepared = Prepared.from_json(entry)
        if contrasts is not None:
            prepared = prepared.only(contrasts)
        result = run_one(prepared, partial)
        moved = result.with_paths(lambda path: _moved(path, partial, final))
        files = sorted(p.relative_to(partial).as_posix() for p in partial.rglob("*") if p.is_file())
        record = {
            "key": key,
            "folder": str(final),
            "files": file_digests(partial, files),
            "entry": {**moved.to_json(), "key": key},
        }
        write_json(partial / RECORD, record)
        shutil.rmtree(final, ignore_errors=True)
        os.rename(partial, final)
        note_placed([final / RECORD, *(final / name for name in files)])
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return record["entry"]


def _moved(path: str, before: Path, after: Path) -> str:
    full = Path(os.path.abspath(path))
    return str(after / full.relative_to(before)) if full.is_relative_to(before) else str(full)


def _reason(scan: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    if not isinstance(error, NormscanError):
        LOG.debug("%s", scan, exc_info=error)
        text = f"{type(error).__name__}: {text}"
    return text if text.startswith(scan) else f"{scan}: {text}"
