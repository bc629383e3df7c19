"""YAML files that people write: what is wrong with one is said with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from normscan.errors import ConfigError

MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> Any:
    """What a file says.

    Raises
    ------
    ConfigError : it is no text, no YAML, or a mapping names a key twice (YAML takes the last one).
    """
    try:
        text = path.read_text(encoding="utf-8")
        repeated = list(_repeated(yaml.compose(text, yaml.SafeLoader), set()))
        if not repeated:
            return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    raise ConfigError("\n".join(f"{path}: {line}" for line in repeated))


def _repeated(node: yaml.Node | None, seen: set[int]) -> Iterator[str]:
    """Keys that stand twice in a mapping, with their lines; ``seen``: nodes that aliases repeat."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated(one, seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines and key.tag != MERGE:
                yield (
                    f"line {line}: '{key.value}' stands here a second time (first in line "
                    f"{lines[name]}); leave one of them out"
                )
            lines.setdefault(name, line)
            yield from _repeated(value, seen)
