"""docs/approaches.md has a row of every approach that is shipped, which leads to its page."""

import importlib.util
import re

import pytest
import yaml
from made_copies import ROOT

from normscan.workflow.protocols import parse_protocol

SPEC = importlib.util.spec_from_file_location("writer", ROOT / "docs/write_approaches.py")
assert SPEC and SPEC.loader
writer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writer)
ROWS = [
    line.strip("| ").split(" | ")
    for line in writer.PAGE.read_text().splitlines()
    if line.startswith("| [")
]
COLUMNS = ["cohort", "approach", "split", "level", "threshold_rule", "metric", "value"]


@pytest.mark.parametrize("name", writer.shipped())
def test_every_approach_has_its_row(name):
    """The cells before the measured ones are what the script would write."""
    content = yaml.safe_load((ROOT / f"protocols/{name}.yaml").read_text())
    protocol, _ = parse_protocol(name, content)
    families = writer.read_families()
    expected = [writer.row_of(one, protocol, families) for one in protocol.approaches.values()]
    own = [row[: -writer.MEASURED] for row in ROWS if row[1] == f"`{name}`"]
    assert own == expected, "run docs/write_approaches.py"


def test_every_row_leads_somewhere_and_says_what_was_measured():
    assert {row[1].strip("`") for row in ROWS} == set(writer.shipped())
    for row in ROWS:
        assert (writer.PAGE.parent / re.fullmatch(r"\[.+\]\((.+)\)", row[0])[1]).is_file(), row
        assert len(row) == writer.CELLS
        *quality, cost = row[-writer.MEASURED :]
        for cell in [*quality, *([] if row[-writer.MEASURED - 1] == "fused" else [cost])]:
            assert cell == writer.NOT_MEASURED or re.fullmatch(r"[-0-9./ ]+", cell), row
        assert (cost == writer.OF_PARTS) == (row[-writer.MEASURED - 1] == "fused"), row


def table(path, approach, value):
    rows = [
        ["ms", approach, "test", "cohort", "none", "auprc", value],
        ["ms", approach, "test", "cohort", "best_dice", "dice_mean", value],
        ["ms", approach, "validation", "cohort", "none", "auprc", 0],
    ]
    lines = ["\t".join(map(str, row)) for row in [COLUMNS, *rows]]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_tables_and_costs_are_laid_over_each_other(tmp_path, monkeypatch):
    page = tmp_path / "approaches.md"
    page.write_text(writer.PAGE.read_text())
    monkeypatch.setattr(writer, "PAGE", page)
    first = table(tmp_path / "a.tsv", "recommended/normative", 0.25)
    second = table(tmp_path / "b.tsv", "recommended/normative", 0.5)
    third = table(tmp_path / "c.tsv", "recommended/recommended", 0.75)
    costs = tmp_path / "costs.txt", tmp_path / "more.txt"
    costs[0].write_text("a line\nrecommended normative: 1.234 s\n")
    costs[1].write_text("recommended normative: 123.4 s\n")
    monkeypatch.setattr(
        "sys.argv", ["", "--metrics", first, second, third, "--costs", *map(str, costs)]
    )
    before = writer.read_page()
    writer.main()
    after = writer.read_page()
    changed = {
        title for (title, protocol), cells in after.items() if cells != before[title, protocol]
    }
    assert changed == {"Normative map", "FLAIR and blob denoising"}
    assert after["Normative map", "recommended"][::2] == ["0.250 / 0.250", "123"]
    assert after["FLAIR and blob denoising", "recommended"][0] == "0.750 / 0.750"
    monkeypatch.setattr("sys.argv", [""])
    writer.main()
    assert writer.read_page() == after
