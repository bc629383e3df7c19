"""Names, paths and numbers that YAML allows and the workflow cannot use: each has one line."""

import csv
import math
import shutil
from pathlib import Path

import pytest

from normscan.cohorts.bids import read_bids
from normscan.cohorts.table import read_table
from normscan.errors import ConfigError
from normscan.workflow.configuration import load_study

ROOT = Path(__file__).resolve().parents[3]
SIMULATION = {"subjects": 4, "lesion": "none"}
CONFIG = {
    "protocols": ["demo"],
    "seeds": [0],
    "overrides": {"demo": {"threshold_rules": [{"healthy_fpr": {"rate": 0.05}}]}},
    "cohorts": {
        "healthy": {"role": "healthy", "source": "simulated", "simulation": SIMULATION},
        "ms": {
            "role": "patients",
            "source": "simulated",
            "simulation": {"subjects": 6, "lesion": "ms"},
        },
    },
}


def problems(folder, **changes):
    with pytest.raises(ConfigError) as raised:
        load_study({**CONFIG, **changes}, folder, folder / "protocols")
    return str(raised.value)


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROOT / "protocols", tmp_path / "protocols")
    return tmp_path


def test_the_configuration_is_a_good_one(folder):
    load_study(CONFIG, folder, folder / "protocols")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(folder, value):
    own = {**CONFIG["cohorts"]["ms"], "validation": value}
    said = problems(folder, cohorts={**CONFIG["cohorts"], "ms": own})
    assert f"config.cohorts.ms.validation: found {value!r}; must be a finite number" in said
    assert "config.split.patients_validation" in problems(
        folder, split={"patients_validation": value}
    )
    overrides = {"demo": {"models": {"ae": {"learning_rate": value}}}}
    assert "learning_rate: found" in problems(folder, overrides=overrides)


@pytest.mark.parametrize("key", [7, True, None, 1.5])
def test_names_are_texts(folder, key):
    said = problems(folder, cohorts={**CONFIG["cohorts"], key: CONFIG["cohorts"]["healthy"]})
    assert f"config.cohorts: key {key!r} is no text; write it in quotes" in said
    overrides = {"demo": {"approaches": {key: {"detector": "intensity"}}}}
    assert f"approaches: key {key!r} is no text" in problems(folder, overrides=overrides)


@pytest.mark.parametrize("name", ["a{b}", "a<b>", "a\nb", "a\tb", "a\x00b"])
def test_paths_have_no_characters_that_mean_something_else(folder, name):
    assert f"config.results: found {name!r}:" in problems(folder, results=name)
    cohort = {"role": "healthy", "source": "bids", "path": name}
    said = problems(folder, cohorts={"healthy": cohort})
    assert f"config.cohorts.healthy.path: found {name!r}:" in said and "cannot stand" in said
    said = problems(folder, atlases={"mine": {"head": name}})
    assert "config.atlases.mine.head" in said


def test_names_of_files_in_a_cohort_are_paths_as_well(folder):
    table = folder / "t.tsv"
    table.write_text("subject\tFLAIR\n01\tin{side}.nii.gz\n")
    cohort = {"role": "healthy", "source": "table", "path": "t.tsv", "skull_stripped": True}
    said = problems(folder, cohorts={"healthy": cohort})
    assert "sub-01" in said and "'{' cannot stand in a path" in said


def test_results_are_a_folder(folder):
    (folder / "mine").write_text("not a folder")
    for name in ("mine", "mine/x", "mine/x/y"):
        said = problems(folder, results=name)
        assert "1 problem:" in said and "mine is no folder; name another one" in said


@pytest.mark.parametrize("name", ["my tiny", "my{tiny}", "-tiny", "tïny"])
def test_protocols_have_plain_names(folder, name):
    path = folder / "protocols" / f"{name}.yaml"
    shutil.copy(folder / "protocols" / "demo.yaml", path)
    assert f"found '{name}.yaml'" in problems(folder, protocols=[name])


def test_two_protocols_of_one_name_would_share_results(folder):
    (folder / "mine").mkdir()
    shutil.copy(folder / "protocols" / "demo.yaml", folder / "mine" / "demo.yaml")
    said = problems(folder, protocols=["demo", "mine/demo.yaml"])
    assert "has the name of another one, 'demo'" in said


def test_seeds_are_numbers_that_generators_take(folder):
    assert "config.seeds.0" in problems(folder, seeds=[10**20])


def test_huge_cells_are_no_table(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("subject\tFLAIR\n01\t" + "x" * (csv.field_size_limit() + 1))
    scans, said = read_table(path, "ms")
    assert scans == [] and len(said) == 1 and "t.tsv: cannot be read as a table" in said[0]
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_T1w.nii.gz").touch()
    path.rename(tmp_path / "participants.tsv")
    scans, said = read_bids(tmp_path, "ms")
    assert scans == [] and "cannot be read" in said[0]
