"""Every path of the results is filled in from a template, and read back."""

import re
from pathlib import Path

import pytest

from normscan import layout
from normscan.layout import Layout, parse, pattern

TEMPLATES = {
    name: value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)
}
ROOT = Path(__file__).resolve().parents[2]


def wildcards(template):
    return {name: f"{name}-1.x+y" for name in re.findall(r"\{(\w+)\}", template)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_filled_in_is_read_back(name):
    given = wildcards(TEMPLATES[name])
    path = Layout("some/results").fill(TEMPLATES[name], **given)
    assert path.startswith("some/results/") and "{" not in path
    found = parse(TEMPLATES[name], path)
    # Two wildcards in one name (parent+step) are read back joined as they were.
    assert {key: found[key] for key in given if key not in ("parent", "step")} == {
        key: given[key] for key in given if key not in ("parent", "step")
    }


def test_a_path_of_another_form_is_refused():
    assert parse(layout.SUBJECTS, "/a/b/cohorts/ixi/subjects.tsv") == {"cohort": "ixi"}
    for path in (
        "cohorts/subjects.tsv",
        "cohorts/ixi/more/subjects.tsv",
        "xcohorts/i/subjects.tsv",
    ):
        with pytest.raises(ValueError, match="subjects.tsv"):
            parse(layout.SUBJECTS, path)


def test_paths_are_as_short_as_they_can_be():
    assert Layout("./results/").path(layout.METRICS) == "results/metrics.tsv"
    assert Layout("/x/results").path("a", "b") == "/x/results/a/b"


def test_patterns_find_what_was_filled_in(tmp_path):
    path = Path(Layout(tmp_path).fill(layout.MAP_MANIFEST, **wildcards(layout.MAP_MANIFEST)))
    path.parent.mkdir(parents=True)
    path.touch()
    assert list(tmp_path.glob(pattern(layout.MAP_MANIFEST))) == [path]


def test_no_path_of_the_results_is_spelled_out_elsewhere():
    """Rules, the plan and the library take their paths from the layout."""
    stages = {one.split("/")[0] for one in TEMPLATES.values() if "/" in one and one[0] != "{"}
    spelled = re.compile(rf"[\"'](?:{'|'.join(sorted(stages))})/")
    files = [*(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    files += [*(ROOT / "workflow_scripts").rglob("*.py")]
    found = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.name != "layout.py" and spelled.search(path.read_text())
    }
    assert found == set()
