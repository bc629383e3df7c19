"""Rows of the reference: what a schema, or a plug-in's constants, say of each key.

The meaning of a key stands where the key is: as ``description`` in a schema, as ``MEANING`` beside
``SETTINGS``. What stands in brackets at its end is the unit: ``side of a slice [pixels]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from normscan.allowed import BETWEEN, EACH, WHOLE, parse_range

UNIT = re.compile(r"(.*?) *\[([^\]]+)\]")
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
    "null": "null",
}
# Looks a default up by the path of its key; None: there is none.
Defaults = Callable[[tuple[str, ...]], Any]


class Row(NamedTuple):
    """One key. ``default``: "" where there is none."""

    key: str
    type: str
    default: str
    allowed: str
    unit: str
    meaning: str


def list_of(kind: str) -> str:
    """The type of a list, by that of what is in it."""
    return f"list of {kind}{'' if kind == 'text' else 's'}"


def as_yaml(value: Any) -> str:
    """A value as a configuration has it, in one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # (YAML takes 1e-4 for a text.)
        return repr(value) if "e" not in repr(value) else f"{value:.12f}".rstrip("0")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    return str(value) if value != "" else '""'


def with_unit(text: str) -> tuple[str, str]:
    """A meaning and its unit."""
    found = UNIT.fullmatch(" ".join(text.split()))
    return (found[1], found[2]) if found else (" ".join(text.split()), "")


def setting_rows(
    defaults: Mapping[str, Any],
    allowed: Mapping[str, Any],
    meaning: Callable[[str], str],
    elsewhere: Mapping[str, str] | None = None,
) -> list[Row]:
    """Rows of a plug-in's settings.

    Parameters
    ----------
    meaning : of a setting; "" where nothing says it.
    elsewhere : setting -> what it may be, where another place than ``allowed`` says so.
    """
    rows = []
    for key, value in defaults.items():
        text, unit = with_unit(meaning(key))
        may_be = {**allowed, **(elsewhere or {})}.get(key, "")
        words = elsewhere[key] if elsewhere and key in elsewhere else in_words(may_be)
        if value is None:
            words = f"{words}, `null`".removeprefix(", ")
        rows.append(Row(key, _kind(value, allowed.get(key)), as_yaml(value), words, unit, text))
    return rows


def in_words(allowed: str | list | dict) -> str:
    """What an entry of ``ALLOWED`` lets a setting be."""
    if isinstance(allowed, dict):
        return "; ".join(f"{key}: {in_words(one)}" for key, one in allowed.items())
    if isinstance(allowed, list):
        return ", ".join(map(in_words, allowed))
    if allowed.startswith(EACH):
        return f"each {in_words(allowed.removeprefix(EACH))}"
    if BETWEEN in allowed:
        words = parse_range(allowed).words()
        return re.sub(r"^a (whole )?number( of)? ?", "", words)
    return f"`{allowed}`" if allowed and " " not in allowed else allowed


def _kind(default: Any, allowed: str | list | dict | None) -> str:
    """The type of a setting: of its default, else of what is allowed."""
    if isinstance(allowed, dict) or isinstance(default, Mapping):
        return "mapping"
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, (list, tuple)):
        return list_of(_kind(default[0], None)) if default else "list"
    choices = [allowed] if isinstance(allowed, str) else allowed or []
    number = "whole number" if _whole(default, choices) else "number"
    ranges = any(BETWEEN in one for one in choices)
    if isinstance(default, str) or (choices and not ranges):
        return f"text or {number}" if ranges else "text"
    return number if isinstance(default, (int, float)) or ranges else "any"


def _whole(default: Any, choices: list[str]) -> bool:
    return isinstance(default, int) or any(one.startswith(WHOLE) for one in choices)


def schema_rows(schema: Mapping[str, Any], defaults: Defaults) -> list[Row]:
    """Rows of all keys of a schema, in its order; names that people give are ``NAME``."""
    return list(_rows(schema, (), schema.get("$defs", {}), defaults))


def _rows(
    node: Mapping[str, Any], path: tuple[str, ...], shared: Mapping[str, Any], defaults: Defaults
) -> Iterator[Row]:
    node = resolved(node, shared)
    for name, child in node.get("properties", {}).items():
        here, child = (*path, name), resolved(child, shared)
        default = "required" if name in node.get("required", ()) else _default(defaults(here))
        text, unit = with_unit(child.get("description", ""))
        yield Row(".".join(here), kind(child), default, _limits(child), unit, text)
        yield from _rows(child, here, shared, defaults)
    if isinstance(inner := node.get("additionalProperties"), dict):
        yield from _rows(inner, (*path, "NAME"), shared, defaults)
    if isinstance(inner := node.get("items"), dict):
        yield from _rows(inner, (*path, "N"), shared, defaults)


def resolved(node: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A node with what it refers to; its own words come first."""
    if "$ref" not in node:
        return dict(node)
    return {**shared[node["$ref"].rpartition("/")[2]], **node}


def _default(value: Any) -> str:
    # Nothing in it: what then is so stands in the meaning.
    return (
        ""
        if value is None or (not isinstance(value, (bool, int)) and not value)
        else as_yaml(value)
    )


def kind(node: Mapping[str, Any]) -> str:
    """The type of a schema's node."""
    if "const" in node or "enum" in node:
        return "text"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(map(kind, node["anyOf"])))
    types = node.get("type", "any")
    words = [TYPES.get(one, one) for one in ([types] if isinstance(types, str) else types)]
    if types == "array" and "items" in node:
        return list_of(kind(node["items"]))
    return " or ".join(words)


def _limits(node: Mapping[str, Any]) -> str:
    """What a schema lets a value be beside its type."""
    if "anyOf" in node:
        return ", ".join(filter(None, map(_limits, node["anyOf"])))
    found = [f"`{as_yaml(one)}`" for one in node.get("enum", [])]
    found += [f"`{as_yaml(node['const'])}`"] if "const" in node else []
    for key, words in (
        ("exclusiveMinimum", "above {}"),
        ("minimum", "at least {}"),
        ("maximum", "at most {}"),
        ("exclusiveMaximum", "below {}"),
        ("minItems", "{} or more"),
        ("minProperties", "{} or more"),
    ):
        if key in node and not (key == "minItems" and node[key] == 0):
            found.append(words.format(as_yaml(node[key])))
    if pattern := node.get("propertyNames", {}).get("pattern"):
        found.append(f"names as `{pattern}`")
    if inner := _limits(node["items"]) if isinstance(node.get("items"), dict) else "":
        found.append(f"each {inner}")
    return ", ".join(found)
