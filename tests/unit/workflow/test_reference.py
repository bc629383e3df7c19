"""The reference says what the code goes by, of every key."""

import re
import subprocess
import sys

import pytest
import yaml

from normscan.cohorts.load import load_cohort
from normscan.plugins import literals
from normscan.workflow import one_scan
from normscan.workflow.configuration import load_study
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocols import parse_protocol
from normscan.workflow.recipes import FOLDER
from normscan.workflow.schema import SCHEMAS

ROOT = FOLDER.parent
SCRIPT = ROOT / "docs" / "write_reference.py"
WORDS = {
    "$schema", "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "else",
    "enum", "exclusiveMinimum", "if", "items", "maximum", "maxProperties", "minimum", "minItems",
    "minLength", "minProperties", "pattern", "properties", "propertyNames", "required", "title",
    "type", "uniqueItems",
}  # fmt: skip
ENTRY = {"role": "healthy", "source": "simulated", "simulation": {"subjects": 6}}
RECIPE = {
    "contrasts": ["FLAIR"],
    "preprocessing": [{"register": {}}],
    "slices": {},
    "models": {"ae": {"family": "ae"}},
    "approaches": {"ae": {"model": "ae", "detector": "reconstruction"}},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The pages as they would be written now."""
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text() for path in folder.iterdir()}


def rows(page: str) -> dict[str, list[str]]:
    """Cells of the first table of a page, by key."""
    table = page.split("| --- |\n", 1)[1].split("\n\n")[0]
    lines = [line.strip("| ").replace("\\|", "/").split(" | ") for line in table.splitlines()]
    return {one[0].strip("`"): [cell.strip(" `") for cell in one] for one in lines}


def test_the_pages_are_those_that_would_be_written_now(written):
    stored = {path.name: path.read_text() for path in (ROOT / "docs/reference").iterdir()}
    assert stored == written, "run `make reference`"


def test_no_meaning_is_of_a_setting_that_there_is_not():
    for path in LIBRARY.rglob("*.py"):
        said = literals(path)
        if {"MEANING", "SETTINGS"} <= said.keys():
            # (What is fused has weights, which are not a plug-in's.)
            assert said["MEANING"].keys() <= {*said["SETTINGS"], "weights"}, path


def test_defaults_of_the_configuration_are_what_a_run_gets(written, tmp_path):
    study = load_study(
        {"cohorts": {"healthy": ENTRY}, "protocols": ["comparative_study"]}, tmp_path, FOLDER
    )
    found = rows(written["configuration.md"])
    plain = ["title", "results", "on_bad_scan", "intermediates", "device", "threads"]
    given = {key: getattr(study, key) for key in plain}
    given |= {f"split.{key}": one for key, one in study.split.items()}
    given |= {f"volumes.{key}": one for key, one in study.volumes.items()}
    given |= {"shard_size": study.shard_size["healthy"]}
    assert {key: found[key][2] for key in given} == {key: str(one) for key, one in given.items()}


def test_defaults_of_a_cohort_are_what_it_gets(written, tmp_path):
    cohort, _ = load_cohort("healthy", ENTRY, tmp_path, results=tmp_path)
    found = rows(written["configuration.md"])
    for key in ("prior", "skull_stripped", "space", "lesion_classes", "ignored_labels"):
        stated = yaml.safe_load(found[f"cohorts.NAME.{key}"][2]) or None
        assert stated == (getattr(cohort, key) or None), key


def test_defaults_of_a_protocol_are_what_it_gets(written):
    protocol, problems = parse_protocol("some", RECIPE)
    assert protocol and not problems
    found = rows(written["protocol.md"])
    for key, value in protocol.postprocessing.items():
        assert yaml.safe_load(found[f"postprocessing.{key}"][2]) == value
    assert yaml.safe_load(found["training.shares"][2]) == list(protocol.shares)
    main = protocol.streams["main"]
    assert found["training.streams.NAME.slices"][2] == main.slices
    assert found["training.streams.NAME.role"][2] == main.role
    rules = yaml.safe_load(found["threshold_rules"][2])
    given = parse_protocol("some", {**RECIPE, "threshold_rules": rules})[0]
    assert given and given.rules == protocol.rules


def test_defaults_of_settings_can_be_written_into_a_protocol(written):
    """YAML reads them as what they are; it would take 1e-4 for a text."""
    for section in written["models.md"].split("\n## ")[1:]:
        family = section.split("\n")[0]
        if (LIBRARY / "models" / f"{family}.py").exists():
            stated = {key: yaml.safe_load(one[2]) for key, one in rows(section).items()}
            assert stated == literals(LIBRARY / "models" / f"{family}.py")["SETTINGS"], family


def test_all_that_may_be_said_of_one_scan_is_there():
    assert set(one_scan.MEANING) == {one_scan.SCAN, *one_scan.ABOUT}


@pytest.mark.parametrize("name", ["config", "protocol"])
def test_schemas_hold_no_word_that_nothing_reads(name):
    """In flow style a comma of a description that is not quoted would begin another word."""
    waiting = [yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text())]
    while waiting:
        node = waiting.pop()
        assert node.keys() <= WORDS
        waiting += [*node.get("properties", {}).values(), *node.get("$defs", {}).values()]
        waiting += [
            node[one]
            for one in ("items", "additionalProperties")
            if isinstance(node.get(one), dict)
        ]
        waiting += node.get("anyOf", [])


def test_tables_of_the_page_on_cohorts_name_keys_that_there_are():
    """They say how keys are used; which there are, and with which default, is said once."""
    text = (ROOT / "docs/new-cohort.md").read_text()
    entry = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())["properties"]["cohorts"]
    (keys,) = re.findall(r"^\| key \| meaning \|\n\| --- \| --- \|\n(.*?)\n\n", text, re.S | re.M)
    named = re.findall(r"^\| `(\w+)` \|", keys, re.M)
    assert set(named) <= entry["additionalProperties"]["properties"].keys() and len(named) > 10
    settings = literals(LIBRARY / "cohorts/plan_synthetic.py")["SETTINGS"]
    (table,) = re.findall(
        r"^\| setting \| default \| meaning \|\n.*?\n(.*?)\n\n", text, re.S | re.M
    )
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert set(re.findall(r"`(\w+)`", " ".join(one[0] for one in rows))) == settings.keys()
    for names, default, *_ in rows:
        value = default.strip("`")
        if "`" not in names.strip("`") and re.match(r"[\d.\[]", value):
            assert yaml.safe_load(value) == settings[names.strip("`")], names
