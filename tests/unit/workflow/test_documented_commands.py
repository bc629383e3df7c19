"""Commands in the documentation ask for what there is: targets, options, keys and files."""

import re
import shlex

import pytest
from made_copies import ROOT, blocks
from made_examples import keys, pages
from snakemake.cli import get_argument_parser

from normscan import layout
from normscan.workflow.one_scan import ABOUT, SCAN, SCREENING

RULES = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
KNOWN = set(re.findall(r"^rule (\w+):", RULES + (ROOT / "Snakefile").read_text(), re.MULTILINE))
MADE = set(re.findall(r"^([a-z_]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
CONFIG = {*keys("config"), SCAN, *ABOUT}
# First parts of the paths of results.
PLACES = {
    template.partition("/")[0]
    for template in vars(layout).values()
    if isinstance(template, str) and "." in template
}
PARSER = get_argument_parser()


def code_of(text: str) -> list[str]:
    """Lines of a shell's blocks, what stands in backticks, and commands that are printed."""
    fenced = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    found = [line for _, language, one in fenced if language == "bash" for line in one.splitlines()]
    found += re.findall(r"`([^`\n]+)`", text)
    # A program's output, and the first line of a file that says how to run it.
    return found + re.findall(r"^(?:# \S+:)? +(snakemake .*)$", text, re.MULTILINE)


def commands(line: str) -> list[list[str]]:
    """The arguments of each call of Snakemake in a line."""
    words = shlex.split(line, comments=True)
    found = [commands(one) for one in words if "snakemake " in one and one != line]
    inner = [command for several in found for command in several]
    return ([words[1:]] if words[:1] == ["snakemake"] else []) + inner


def problems(words: list[str], page: str) -> list[str]:
    """What a call of Snakemake asks for that there is not."""
    try:
        asked = PARSER.parse_args(words)
    except SystemExit:
        return [f"{words}: options that Snakemake does not have"]
    found = []
    for target in {*asked.targets, *(asked.until or ())}:
        parts = target.split("/")
        if target not in KNOWN and not (parts[0] == "results" and set(parts[1:2]) & PLACES):
            found.append(f"{target}: no rule and no result")
    for pair in asked.config or ():
        key, _, value = pair.partition("=")
        if key not in CONFIG or not value:
            found.append(f"--config {pair}: no key of a configuration, or no value")
    own = {re.match(r"# (\S+\.yaml)", block) for block in blocks(page, "yaml")}
    for path in asked.configfile or ():
        if not (ROOT / path).is_file() and str(path) not in {one[1] for one in own if one}:
            found.append(f"--configfile {path}: neither here nor on the page")
    for folder in asked.profile or ():
        if not (ROOT / folder / "config.yaml").is_file():
            found.append(f"--profile {folder}: is no folder of a profile")
    return found


@pytest.mark.parametrize("page", pages())
def test_snakemake_is_asked_for_what_there_is(page):
    lines = [one for one in code_of((ROOT / page).read_text()) if "snakemake" in one]
    found = [one for line in lines for words in commands(line) for one in problems(words, page)]
    assert not found


@pytest.mark.parametrize("page", pages())
def test_make_is_asked_for_what_there_is(page):
    code = "\n".join(code_of((ROOT / page).read_text()))
    asked = set(re.findall(r"\bmake ([a-z_]+)", code))
    assert asked <= MADE, asked - MADE


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("snakemake screen --config scan=a.nii.gz skull_stripped=true   # a scan", ""),
        ("snakemake screen --config scna=a.nii.gz", "scna=a.nii.gz"),
        ("snakemake screen --config scan=a.nii.gz skull=true", "skull=true"),
        ("snakemake screne --config scan=a.nii.gz", "screne"),
        ("snakemake --until check_cohort", "check_cohort"),
        ("snakemake --force results/metrics.tsv", ""),
        ("snakemake --force results/nowhere/metrics.tsv", "results/nowhere"),
        ("snakemake --configfile configs/nothing.yaml", "configs/nothing.yaml"),
        ("snakemake --configfile clinic.yaml", ""),
        ("snakemake --profile slrum", "slrum"),
        ("snakemake --no-such-option", "no-such-option"),
        ('sbatch --mem=8G --wrap "snakemake --profile slrum"', "slrum"),
    ],
)
def test_what_there_is_not_is_found(line, wrong):
    found = [one for words in commands(line) for one in problems(words, "docs/screening.md")]
    assert [wrong in one for one in found] == [True] * bool(wrong)


def test_what_may_be_said_of_one_scan_is_on_its_page():
    text = (ROOT / "docs/screening.md").read_text()
    table = text.split("| `--config` | meaning |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {SCAN, *ABOUT, SCREENING}
