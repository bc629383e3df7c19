"""A newcomer adds a model and a detector as the documentation says, and edits nothing else."""

import pytest
import yaml
from made_copies import blocks, copied, run

PAGES = {
    "docs/new-model.md": "models/my_model.py",
    "docs/new-detector.md": "detectors/my_detector.py",
}
# What looks at every plug-in; of tests that run for each, those of the new ones.
EVERY = [
    "tests/unit/test_allowed.py",
    "tests/unit/test_house.py",
    "tests/unit/models/test_families.py",
    "tests/unit/detectors/test_detector_registry.py",
    "tests/unit/report/test_citations.py",
    "tests/unit/workflow/test_protocols.py",
]
CHECKED = (
    "tests/unit/training/test_every_model.py::"
    "test_it_learns_resumes_is_bundled_and_detects[my_model]"
)
PROTOCOL = """
import yaml
from pathlib import Path
from normscan.workflow.configuration import merged
from normscan.workflow.protocols import parse_protocol
content = {
    "contrasts": ["FLAIR"], "preprocessing": [{"register": {}}], "slices": {},
    "models": {"vae": {"family": "vae"}},
}
for part in yaml.safe_load_all(Path("entries.yaml").read_text()):
    content = merged(content, part)
protocol, problems = parse_protocol("new", content)
assert protocol and not problems, problems
content["models"]["mine"]["noise"] = -1
_, problems = parse_protocol("new", content)
assert len(problems) == 1 and "models.mine.noise" in problems[0], problems
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository with the two files of the documentation."""
    folder = copied(tmp_path_factory.mktemp("newcomer"))
    for page, path in PAGES.items():
        (folder / "workflow_scripts" / "normscan" / path).write_text(blocks(page, "python")[0])
    return folder


def test_all_tests_pass_without_another_edit(copy):
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *EVERY, CHECKED)
    assert "failed" not in said
    run(
        copy,
        "-m",
        "pytest",
        "-q",
        "tests/unit/detectors/test_all_detectors.py",
        "-k",
        "my_detector",
    )


def test_the_reference_has_them_once_it_is_written(copy):
    run(copy, "docs/write_reference.py")
    run(copy, "-m", "pytest", "-q", "tests/unit/workflow/test_reference.py")
    assert "| `noise` | number | `0.1` |" in (copy / "docs/reference/models.md").read_text()


def test_they_can_be_asked_for_in_a_protocol(copy):
    """By the entries that the pages show."""
    entries = [yaml.safe_load(blocks(page, "yaml")[0]) for page in PAGES]
    (copy / "entries.yaml").write_text(yaml.safe_dump_all(entries))
    run(copy, "-c", PROTOCOL)


def test_their_code_passes_the_lints(copy):
    files = [f"workflow_scripts/normscan/{path}" for path in PAGES.values()]
    run(copy, "-m", "ruff", "check", *files)
    run(copy, "-m", "ruff", "format", "--check", *files)
