"""Examples in the documentation start: on made folders of empty files, as if they were the data."""

import re
from pathlib import Path

import pytest
import yaml

from normscan.cohorts.layouts import layout_names, read_layout
from normscan.workflow.configuration import load_study
from normscan.workflow.recipes import FOLDER

ROOT = FOLDER.parent
PAGES = ["README.md", "docs/comparative-study.md", "docs/papers/kim2021.md"]
SUBJECTS = 6
BIDS = "sub-0{}/anat/sub-0{}_{}.nii.gz"


def examples(page: str) -> list[dict]:
    """Complete configurations among a page's blocks of YAML."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    contents = [yaml.safe_load(block) for block in blocks]
    return [one for one in contents if {"protocols", "cohorts"} <= set(one)]


def files(source: str, subject: int) -> list[str]:
    """Files of one subject, as a source expects them."""
    if source == "bids":
        kinds = ("FLAIR", "T1w", "label-lesion_mask")
        return [BIDS.format(subject, subject, kind) for kind in kinds]
    made = {"**/": "", "nii*": "nii.gz", "*": "x", "{subject}": f"S{subject}", "{session}": "1"}
    paths = [alternatives[0] for alternatives in read_layout(source)["patterns"].values()]
    for pattern, text in made.items():
        paths = [path.replace(pattern, text) for path in paths]
    return paths


def put_down(example: dict, folder: Path) -> dict:
    """The example with made data in place of its paths."""
    cohorts = {}
    for name, entry in example["cohorts"].items():
        for subject in range(SUBJECTS):
            for path in files(entry["source"], subject):
                target = folder / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
        cohorts[name] = {**entry, "path": str(folder / name)}
    return {**example, "cohorts": cohorts}


@pytest.mark.parametrize("page", PAGES)
def test_examples_start(tmp_path, page):
    found = examples(page)
    assert found
    for number, example in enumerate(found):
        config = put_down(example, tmp_path / str(number))
        study = load_study(config, tmp_path, FOLDER)
        assert {len(cohort.scans) for cohort in study.cohorts.values()} == {SUBJECTS}
        for name, entry in example["cohorts"].items():
            assert study.cohorts[name].role == entry["role"]


def test_all_layouts_can_be_put_down(tmp_path):
    for source in layout_names():
        assert len(set(files(source, 1))) == len(read_layout(source)["patterns"])
