"""Schema validation whose messages name the key, what was found and what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"


def schema_problems(content: Any, schema_name: str, where: str) -> list[str]:
    """All problems of ``content`` against ``schemas/{schema_name}.schema.yaml``, one line each.

    Parameters
    ----------
    content : parsed YAML.
    schema_name : ``config`` or ``protocol``.
    where : what stands before each line, e.g. ``config.yaml``.
    """
    import jsonschema

    if problems := list(_unwritable(content, where)):
        return problems
    schema = yaml.safe_load((SCHEMAS / f"{schema_name}.schema.yaml").read_text(encoding="utf-8"))
    # (To a schema 2.0 is an integer; to a range, an index and a folder's name it is none.)
    draft = jsonschema.Draft202012Validator
    types = draft.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    errors = jsonschema.validators.extend(draft, type_checker=types)(schema).iter_errors(content)
    lines = [line for error in errors for line in _lines(error, where)]
    return sorted(dict.fromkeys(lines))


def _unwritable(content: Any, where: str) -> Iterator[str]:
    """Keys that are no text (``7:``, ``no:``), numbers that are none (``.nan``, ``.inf``)."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                yield f"{where}: key {key!r} is no text; write it in quotes"
            yield from _unwritable(value, f"{where}.{key}")
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _unwritable(value, f"{where}.{number}")
    elif isinstance(content, float) and not math.isfinite(content):
        yield f"{where}: found {content!r}; must be a finite number"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """``(did you mean 'x'?)`` for the nearest allowed name; empty when none is near."""
    close = difflib.get_close_matches(str(name), [str(one) for one in allowed], n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def unknown_key(where: str, key: str, allowed: Iterable[str]) -> str:
    """The line for an unknown key."""
    allowed = sorted(map(str, allowed))
    return f"{where}.{key}: unknown key{nearest(key, allowed)}; allowed: {', '.join(allowed)}"


def wrong_value(where: str, found: Any, allowed: Iterable[Any]) -> str:
    """The line for a value that is not among the allowed ones."""
    allowed = [str(one) for one in allowed]
    hint = nearest(found, allowed)
    return f"{where}: found {found!r}{hint}; allowed: {', '.join(allowed) or 'none'}"


def _lines(error, where: str) -> list[str]:
    path = ".".join([where, *map(str, error.absolute_path)])
    rule, limit = error.validator, error.validator_value
    if rule == "additionalProperties" and limit is False:
        known = error.schema.get("properties", {})
        return [unknown_key(path, key, known) for key in error.instance if key not in known]
    if rule == "required":
        missing = [key for key in limit if key not in error.instance]
        return [f"{path}: key '{key}' is missing" for key in missing]
    if rule == "enum":
        return [wrong_value(path, error.instance, limit)]
    if rule == "type":
        wanted = " or ".join(limit) if isinstance(limit, list) else limit
        return [f"{path}: found {error.instance!r}; must be of type {wanted}"]
    if rule in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        words = {
            "minimum": "at least",
            "exclusiveMinimum": "more than",
            "maximum": "at most",
            "exclusiveMaximum": "less than",
        }
        return [f"{path}: found {error.instance!r}; must be {words[rule]} {limit}"]
    if rule == "pattern":
        return [f"{path}: found {error.instance!r}; only letters, digits and . _ - are allowed"]
    if rule in ("minItems", "minProperties", "minLength"):
        return [f"{path}: is empty; at least {limit} is needed"]
    if rule == "maxProperties":
        return [f"{path}: found keys {sorted(error.instance)}; exactly one is allowed here"]
    if rule == "uniqueItems":
        return [f"{path}: found {error.instance!r}; entries must differ"]
    if rule == "anyOf" and error.schema.get("description"):
        return [f"{path}: found {error.instance!r}; must be {error.schema['description']}"]
    return [f"{path}: {error.message}"]
