"""What a bundle says of its approach: written with a digest of itself, read with suspicion.

A bundle may come from elsewhere, so it is input. Nothing in it names a place outside of its folder
or of the results, and what was edited by hand is told from what was exported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normscan.detectors import registry as detectors
from normscan.errors import BundleError, ConfigError, NormscanError
from normscan.files import inside, read_json, value_digest, write_json
from normscan.plugins import complete_settings, literals
from normscan.postprocessing.exported_fused import FUSION, fused_problems
from normscan.postprocessing.told import about_problems, postprocessing_problems

SLICE_RULES = Path(__file__).parent / "slice_rules.py"
PRIORS = ("hyperintense", "hypointense", "none")
MODEL_FILES = ("weights.safetensors", "bundle.json")
DIGEST = "digest"
GREATEST_SEED = 2**32 - 1
# 1, which says nothing of it, has neither volumes of healthy scans nor what models were trained on.
FORMAT = 2
# Roles of used models are a list where nothing else is said of them.
KEYS: dict[str, Any] = {
    "protocol": str, "title": str, "model": str, "uses": (dict, list),
    "detector": str, "expected": str, "settings": dict, "seed": int, "files": dict,
    "fingerprint": dict, "postprocessing": dict, "primary_rule": str, "thresholds": dict,
}  # fmt: skip
WORDS = {str: "a text", dict: "a mapping", list: "a list", int: "a whole number"}
ANY_CONTRAST = "a contrast"


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write ``approach.json``."""
    record = {"format": FORMAT, **record}
    write_json(path, {**record, DIGEST: _digest(record)})


def read_record(path: Path, protocol: str) -> dict[str, Any]:
    """What ``approach.json`` says.

    Parameters
    ----------
    protocol : in whose folder it lies.

    Raises
    ------
    BundleError : it was edited, is another protocol's, or something in it is missing or cannot be;
        all problems are named at once.
    """
    try:
        record = read_json(path)
    except NormscanError as error:
        raise BundleError(str(error)) from None
    if not isinstance(record, dict):
        raise BundleError(f"{path}: is {_kind(record)} and no mapping; export the bundle again")
    if lacking := [key for key in (*KEYS, DIGEST) if key not in record]:
        raise BundleError(
            f"{path}: lacks {', '.join(lacking)}; another version exported it, export it again"
        )
    if wrong := format_problem(record):
        raise BundleError(f"{path}: {wrong}")
    problems = list(_problems(path.parent, record, protocol))
    if not problems and record[DIGEST] != _digest(record):
        problems = ["was changed since it was exported"]
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise BundleError(f"{path}: cannot be used; export the bundle again:{lines}")
    return record


def format_problem(record: Mapping[str, Any]) -> str:
    """Why a record of its format cannot be read; empty when it can."""
    found = record.get("format", 1)
    if _is(found, int) and 1 <= found <= FORMAT:
        return ""
    return (
        f"format: found {found!r}; this version reads 1 to {FORMAT}: use a newer one, or export "
        "the bundle with this one"
    )


def _problems(folder: Path, record: Mapping[str, Any], protocol: str) -> Iterator[str]:
    wrong = [key for key, kind in KEYS.items() if not _is(record[key], kind)]
    for key in wrong:
        wanted = WORDS[KEYS[key] if isinstance(KEYS[key], type) else KEYS[key][0]]
        yield f"{key}: found {_kind(record[key])}; must be {wanted}"
    if wrong:
        return
    if not 0 <= record["seed"] <= GREATEST_SEED:
        yield f"seed: found {record['seed']}; must be at least 0 and at most {GREATEST_SEED}"
    if record["protocol"] != protocol:
        yield f"protocol: found {record['protocol']!r}; its folder is that of {protocol!r}"
    yield from _file_problems(folder, record)
    yield from _detector_problems(record)
    yield from _threshold_problems(record["thresholds"])
    yield from postprocessing_problems(record["postprocessing"])
    yield from about_problems(record)


def _file_problems(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    for name, digest in record["files"].items():
        try:
            inside(folder, name)
        except NormscanError as error:
            yield str(error)
        if not isinstance(digest, str):
            yield f"files.{name}: found {_kind(digest)}; must be a digest"
    names = [f"uses/{role}/{name}" for role in record["uses"] for name in MODEL_FILES]
    if _needs_model(record["detector"]):
        names = [*MODEL_FILES, *names]
    if unnamed := [name for name in names if name not in record["files"]]:
        yield f"files: names no {', '.join(unnamed)}"


def _needs_model(detector: str) -> bool:
    """Whether a detector works on a model; one that is not known is another problem."""
    plain = detector.replace("-", "_")
    return plain in detectors.names() and bool(detectors.describe(plain)["needs"])


def _detector_problems(record: Mapping[str, Any]) -> Iterator[str]:
    name = record["detector"]
    if name == FUSION:
        yield from fused_problems(record)
        return
    try:
        defaults = detectors.describe(name)["settings"]
    except ConfigError as error:
        yield str(error)
        return
    ranges = literals(detectors.FOLDER / f"{name.replace('-', '_')}.py").get("ALLOWED", {})
    for role in detectors.describe(name)["uses"]:
        if role not in record["uses"]:
            yield f"uses: lacks '{role}', which detector {name} needs a model for"
    # Of which contrasts there are only the slices know.
    known = {key: one for key, one in ranges.items() if ANY_CONTRAST not in one}
    yield from complete_settings(record["settings"], defaults, known, "settings")[1]


def _threshold_problems(thresholds: Mapping[str, Any]) -> Iterator[str]:
    kinds = literals(SLICE_RULES)["SLICE_RULES"]
    for prior, points in thresholds.items():
        if prior not in PRIORS:
            yield f"thresholds: found prior {prior!r}; allowed: {', '.join(PRIORS)}"
        if not isinstance(points, dict):
            yield f"thresholds.{prior}: found {_kind(points)}; must be a mapping"
            continue
        for label, point in points.items():
            where = f"thresholds.{prior}.{label}"
            if not isinstance(point, dict) or "threshold" not in point:
                yield f"{where}: has no 'threshold'"
            elif point.get("per") == "slice":
                kind, settings = point.get("kind"), point.get("settings")
                if kind not in list(kinds) or not isinstance(settings, dict):
                    yield f"{where}: is no rule per slice; allowed: {', '.join(kinds)}"
                else:
                    yield from _slice_rule_problems(kind, settings, f"{where}.settings")
            elif not (point["threshold"] is None or _is_finite(point["threshold"])):
                yield f"{where}: found {point['threshold']!r}; must be a finite number or null"


def _slice_rule_problems(kind: str, settings: Mapping[str, Any], where: str) -> Iterator[str]:
    """All settings of the rule are there: it has no others to fall back on."""
    said = literals(SLICE_RULES)
    defaults, ranges = said["SLICE_RULES"][kind], said["ALLOWED"][kind]
    if lacking := [key for key in defaults if key not in settings]:
        yield f"{where}: lacks {', '.join(lacking)}"
    yield from complete_settings(dict(settings), defaults, ranges, where)[1]


def _is(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _is_finite(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return WORDS.get(type(value), type(value).__name__)


def _digest(record: Mapping[str, Any]) -> str:
    """Of everything but the digest itself."""
    return value_digest({key: value for key, value in record.items() if key != DIGEST})
