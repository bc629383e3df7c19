"""Fingerprints of the code a rule really runs.

Snakemake tracks the modification time of a script and nothing that it imports. Here a rule's
``params`` hold a digest of the syntax trees of its script and of all project modules that the
script imports, directly or not. Comments, docstrings and formatting do not count; a ``git
checkout`` that only refreshes times changes nothing. Nor does what a plug-in says of itself (its
title, what it cites, how it is drawn): that is a parameter of the rules that show it. Nor what the
reference says of settings, in any module.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
PACKAGE = "normscan"
IMPORTS = (ast.Import, ast.ImportFrom)
PLUGINS = {"models", "networks", "detectors"}
# Literals that change no result (workflow/introductions.py), only how long it takes, or whether
# it is begun at all.
SAID = {
    "TITLE",
    "PAGE",
    "CITE",
    "LOOK",
    "LINE",
    "EXPECTED",
    "BASELINE",
    "COST",
    "TOGETHER",
    "CHECKED_WITH",
    "CHECKED_AT",
}
# What settings mean, for the reference.
MEANT = {"MEANING"}
OWNERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_fingerprint(script: str, *modules: str, scripts: Path = SCRIPTS) -> str:
    """Digest of a script and of every project module it reaches through imports.

    Parameters
    ----------
    script : file name inside ``workflow_scripts``.
    modules : modules that the script loads by name at run time (``normscan.models.vae``).
    scripts : the folder that is on Python's path when a script runs.
    """
    return Code(scripts).fingerprint(script, *modules)


def reached_modules(script: str, *modules: str, scripts: Path = SCRIPTS) -> list[str]:
    """Paths (relative to ``workflow_scripts``) that :func:`code_fingerprint` covers."""
    return [path.relative_to(scripts).as_posix() for path in Code(scripts).reached(script, modules)]


class Code:
    """The project's code as it stands when it is first looked at; every file is looked at once.

    Parameters
    ----------
    scripts : the folder that is on Python's path when a script runs.
    """

    def __init__(self, scripts: Path = SCRIPTS):
        self.scripts = scripts
        self.fingerprint = cache(self.fingerprint)
        self._content = cache(_content)
        self._file_of = cache(lambda module: _file_of(module, scripts))
        self._imports = cache(lambda path: _imports(path, scripts, self._file_of))
        self._data_files = cache(_data_files)

    def fingerprint(self, script: str, *modules: str) -> str:
        """See :func:`code_fingerprint`."""
        digest = hashlib.sha256()
        for path in self.reached(script, modules):
            digest.update(path.relative_to(self.scripts).as_posix().encode())
            digest.update(self._content(path))
        return digest.hexdigest()[:16]

    def reached(self, script: str, modules: Iterable[str] = ()) -> list[Path]:
        """Files that a script's fingerprint covers."""
        reached: set[Path] = set()
        waiting = [self.scripts / script, *(self._file_of(name) for name in modules)]
        while waiting:
            path = waiting.pop()
            if path and path not in reached:
                reached.add(path)
                waiting += self._imports(path)
        return sorted(reached.union(*(self._data_files(path) for path in reached)))


def _content(path: Path) -> bytes:
    """Digest of what counts of a file."""
    return _parsed(path, *_state(path))[0] if path.suffix == ".py" else _raw(path, *_state(path))


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@cache
def _raw(path: Path, mtime: int, size: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@cache
def _parsed(path: Path, mtime: int, size: int) -> tuple[bytes, tuple[ast.AST, ...]]:
    """Digest of a module's code and its import statements; time and size only key the cache."""
    words: list[str] = []
    imports: list[ast.AST] = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = MEANT | (SAID if path.parent.name in PLUGINS else set())
    tree.body = [node for node in tree.body if not _names(node, silent)]
    _describe(tree, words, imports)
    return hashlib.sha256(" ".join(words).encode()).digest(), tuple(imports)


def _names(node: ast.stmt, known: set[str]) -> bool:
    """Whether a statement gives some of these names, and no other, their value."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return all(isinstance(one, ast.Name) and one.id in known for one in targets)


def _describe(node: object, words: list[str], imports: list[ast.AST]) -> None:
    """A syntax tree without docstrings in words, its import statements beside, in one pass."""
    if isinstance(node, list):
        words.append(f"[{len(node)}")
        for one in node:
            _describe(one, words, imports)
    elif isinstance(node, ast.AST):
        kind = type(node)
        words.append(kind.__name__)
        if isinstance(node, IMPORTS):
            imports.append(node)
        if isinstance(node, OWNERS) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        for name in kind._fields:
            # Whether a name is read or written follows from where it stands.
            if name != "ctx":
                _describe(getattr(node, name, None), words, imports)
    else:
        words.append(repr(node))


def _imports(path: Path, scripts: Path, file_of: Callable[[str], Path | None]) -> list[Path]:
    """Project files that importing ``path`` runs: its own packages and what it imports."""
    if path.suffix != ".py":
        return []
    names: set[str] = set()
    for node in _parsed(path, *_state(path))[1]:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, scripts)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    parents = [parent / "__init__.py" for parent in path.parents if scripts in parent.parents]
    packages = {name.rsplit(".", depth)[0] for name in names for depth in (1, 2)}
    found = [file for name in names | packages if (file := file_of(name))]
    return [*found, *(parent for parent in parents if parent.is_file())]


def _absolute(node: ast.ImportFrom, path: Path, scripts: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(scripts).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _file_of(module: str, scripts: Path) -> Path | None:
    """The project file of a dotted module name; None for anything installed."""
    base = scripts.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _data_files(module: Path) -> set[Path]:
    """Tables and templates of an imported module, which stand in its room or in folders there.

    A folder ``x`` beside ``x.py`` belongs to that module, another one to all modules of the room;
    rooms inside a room keep theirs.
    """
    found: set[Path] = set()
    folder = module.parent
    if folder.name == "workflow_scripts":
        return found
    names = {path.stem for path in folder.glob("*.py")}
    for path in folder.iterdir():
        if path.is_dir():
            room = (path / "__init__.py").exists()
            if not room and (path.name == module.stem or path.name not in names):
                found.update(one for one in path.rglob("*") if _is_data(one))
        elif _is_data(path):
            found.add(path)
    return found


def _is_data(path: Path) -> bool:
    ignored = path.suffix in (".py", ".pyc") or "__pycache__" in path.parts
    return path.is_file() and not ignored and not path.name.startswith(".")
