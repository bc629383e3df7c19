"""What others read of the project without running it: how to cite, run and contain it."""

import json
import re
import tomllib

import pytest
import yaml

import normscan
from normscan.workflow.recipes import FOLDER

ROOT = FOLDER.parent
CITED = ROOT / "workflow_scripts/normscan/report/citations/references.json"
# Of the schema of the Citation File Format, version 1.2.0.
KEYS = {
    "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi",
    "identifiers", "keywords", "license", "license-url", "message", "preferred-citation",
    "references", "repository", "repository-artifact", "repository-code", "title", "type", "url",
    "version",
}  # fmt: skip
OF_AN_ARTICLE = {"authors", "title", "journal", "year", "doi"}
RECIPES = ["envs/Dockerfile", "envs/Apptainer.def"]


@pytest.fixture
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_is_of_this_version(citation):
    assert citation.keys() <= KEYS
    assert {"cff-version", "message", "title", "authors", "abstract"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert (citation["type"], citation["title"][:8]) == ("software", project()["name"])
    assert str(citation["version"]) == project()["version"] == normscan.__version__
    assert citation["license"] == project()["license"]
    assert len(set(citation["keywords"])) == len(citation["keywords"]) > 3


def test_papers_of_the_citation_are_those_that_reports_cite(citation):
    known = {one.get("url", "") for one in json.loads(CITED.read_text()).values()}
    for one in citation["references"]:
        assert one.keys() >= OF_AN_ARTICLE and one["type"] == "article"
        assert f"https://doi.org/{one['doi']}" in known
        assert all({"family-names", "given-names"} <= author.keys() for author in one["authors"])


def test_the_catalogue_says_what_rules_have():
    content = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert content.keys() == {"usage"}
    usage = content["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    contained = bool(re.search(r"^\s*container(ized)?:", rules, re.M))
    deployment = usage["software-stack-deployment"]
    assert deployment == {
        "conda": "conda:" in rules,
        "apptainer": contained,
        "apptainer+conda": contained,
        "report": bool(re.search(r"(?<![.\w])report\(", rules)),
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_containers_hold_what_the_lock_pins(recipe):
    """The Python of the environments, the lock, and no version that stands anywhere else."""
    text = (ROOT / recipe).read_text()
    (python,) = re.findall(r"^(?:FROM|From:) python:([\d.]+)-slim$", text, re.M)
    environments = list((ROOT / "envs").glob("*.yaml"))
    assert all(f"- python={python}\n" in path.read_text() for path in environments)
    assert f"python{python}" in (ROOT / "Makefile").read_text()
    assert project()["requires-python"] == f">={python}"
    (install,) = re.findall(r"pip install (.*)", text)
    assert re.fullmatch(r"--no-cache-dir --requirement /\S*lock\.txt", install)
    assert "==" not in text


def test_containers_are_alike():
    """The same system packages; files of the workflow, and whole folders of them."""
    docker, apptainer = [(ROOT / recipe).read_text() for recipe in RECIPES]
    (line,) = set(re.findall(r"apt-get install .*", docker)) & set(
        re.findall(r"apt-get install .*", apptainer)
    )
    assert "--no-install-recommends" in line
    put = dict(re.findall(r"^    (\S+) /normscan/(\S+)$", apptainer, re.M))
    assert all(source == target and (ROOT / source).exists() for source, target in put.items())
    needed = {"Snakefile", "rules", "workflow_scripts", "protocols", "schemas", "envs", "profiles"}
    assert needed <= set(put)
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert not needed & set(left_out) and {".venv", "results*"} <= set(left_out)
