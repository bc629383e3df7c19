"""Code fingerprints change with code that runs, and with nothing else."""

from pathlib import Path

import pytest

from normscan.workflow.fingerprint import SCRIPTS, code_fingerprint, reached_modules


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A script, the package it imports from, and a module that it does not import."""
    package = tmp_path / "normscan"
    (package / "models" / "extra").mkdir(parents=True)
    (package / "__init__.py").write_text('"""Package."""\n')
    (package / "models" / "__init__.py").write_text("")
    (package / "models" / "vae.py").write_text("from normscan.parts import layer\nSIZE = 1\n")
    (package / "models" / "ae.py").write_text("SIZE = 2\n")
    (package / "parts.py").write_text('def layer():\n    """Doc."""\n    return 1\n')
    (package / "models" / "extra" / "page.html").write_text("<p>")
    (package / "models" / "ae").mkdir()
    (package / "models" / "ae" / "table.tsv").write_text("a\n")
    (package / "report" / "templates").mkdir(parents=True)
    (package / "report" / "__init__.py").write_text("")
    (package / "report" / "templates" / "report.html").write_text("<p>")
    (tmp_path / "train.py").write_text(
        '"""Train."""\nimport numpy\n\ndef main():\n    import normscan.models\n'
    )
    return tmp_path


def fingerprint(tree: Path, *modules: str) -> str:
    return code_fingerprint("train.py", *modules, scripts=tree)


def test_follows_imports_and_named_modules(tree):
    found = reached_modules("train.py", "normscan.models.vae", scripts=tree)
    assert "normscan/models/vae.py" in found
    assert "normscan/parts.py" in found
    assert "normscan/__init__.py" in found
    assert "normscan/models/ae.py" not in found


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("normscan/parts.py", "return 1", "return 2", True),
        ("normscan/parts.py", "return 1", "return 1  # why", False),
        ("normscan/parts.py", '"""Doc."""', '"""Another."""', False),
        ("normscan/models/vae.py", "SIZE = 1", "SIZE  =  1", False),
        ("normscan/models/vae.py", "SIZE = 1", "SIZE = 3", True),
        ("normscan/models/ae.py", "SIZE = 2", "SIZE = 3", False),
        # What a plug-in says of itself; the same name elsewhere is code.
        (
            "normscan/models/vae.py",
            "SIZE = 1",
            'SIZE = 1\nTITLE = "VAE"\nCITE: list = ["a"]',
            False,
        ),
        ("normscan/models/vae.py", "SIZE = 1", 'SIZE = 1\nTOGETHER = {"a < b": "less"}', False),
        ("normscan/models/vae.py", "SIZE = 1", 'SIZE = 1\nTITLE = NAME = "VAE"', True),
        ("normscan/parts.py", "def layer", 'TITLE = "parts"\n\n\ndef layer', True),
        # What settings mean, in any module.
        ("normscan/parts.py", "def layer", 'MEANING = {"size": "pixels"}\n\n\ndef layer', False),
        ("normscan/models/extra/page.html", "<p>", "<b>", True),
        # Another module's table; a template of a room that is not imported.
        ("normscan/models/ae/table.tsv", "a", "b", False),
        ("normscan/report/templates/report.html", "<p>", "<b>", False),
        ("train.py", '"""Train."""', '"""Other."""', False),
        ("train.py", "import numpy", "import scipy", True),
    ],
)
def test_what_counts(tree, file, old, new, changes):
    before = fingerprint(tree, "normscan.models.vae")
    path = tree / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (fingerprint(tree, "normscan.models.vae") != before) is changes


def test_relative_and_nested_imports(tree):
    (tree / "normscan" / "models" / "vae.py").write_text(
        "def build():\n    from ..parts import layer\n    return layer\n"
    )
    assert "normscan/parts.py" in reached_modules("train.py", "normscan.models.vae", scripts=tree)


def test_no_script_reaches_models_or_detectors_it_does_not_name():
    """One model's code must not count for another's results."""
    for script in sorted(SCRIPTS.glob("*.py")):
        found = reached_modules(script.name)
        families = {"normscan/models/ae.py", "normscan/models/vae.py"}
        assert not families & set(found), script.name
        kinds = {f"normscan/detectors/{n}.py" for n in ("reconstruction", "restoration")}
        assert not kinds & set(found), script.name


def test_the_look_of_the_report_counts_for_pages_only():
    template = "normscan/report/pages/report.html"
    using = {
        script.name for script in SCRIPTS.glob("*.py") if template in reached_modules(script.name)
    }
    assert "report.py" in using
    assert not using & {"simulate.py", "register.py", "train.py", "detect.py", "evaluate.py"}


def test_a_public_layout_counts_for_planning_only():
    for script in sorted(SCRIPTS.glob("*.py")):
        assert "normscan/cohorts/layouts/ixi.yaml" not in reached_modules(script.name), script.name
