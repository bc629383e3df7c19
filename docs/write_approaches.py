"""Write docs/approaches.md: every approach of every shipped protocol, and what was measured.

``--metrics results-papers/metrics.tsv ...`` adds the quality on the demo's cohorts (``make papers``
and further runs; an approach is taken from the first table that has it), ``--costs FILE ...``
seconds per volume (what ``cost_per_volume.py`` printed; later lines count). What none of them says
stays as it stands on the page.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pandas
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from normscan.workflow.protocol_approaches import Approach  # noqa: E402
from normscan.workflow.protocols import Protocol, parse_protocol  # noqa: E402

# In a reader's order; those that are new come behind them.
FIRST = (
    "recommended", "recommended_t1w", "comparative_study", "thesis", "thesis_labels",
    "normative_prior",
    "strega", "strega_baselines", "adm", "global_local", "further_methods",
)  # fmt: skip
# Recipes that `make papers` runs a small form of under another name.
SMALL = {"comparative_study": "demo_study", "normative_prior": "demo_prior"}
COHORTS = ("ms", "tumour")
PAGE = ROOT / "docs/approaches.md"
FAMILIES = ROOT / "docs/models/README.md"
# Of approaches without a model.
INTENSITIES, FUSION = "intensities.md", "fusion.md"
HEAD = """# All approaches

Every approach of every protocol that is shipped, each with a link to its page. Written by
`python docs/write_approaches.py`.

- **Quality**: AUPRC over all voxels / mean Dice of test patients, at the threshold that is best on
  the validation patients, on the simulated cohorts `ms` and `tumour` of `make papers`. Its recipes
  are made small, to run on a laptop: numbers say that an approach works, not which is best.
- **Cost**: processor seconds of one thread (Intel Xeon, 2.8 GHz, busy with other work) per volume
  of 74 slices of 128 x 128, with the protocol's own settings and networks. Measured on 8 or 16
  slices, where a volume takes over 12 s on 1 or 2 (AnoDDPM: on 5 of its 250 steps):
  `python benchmarks/cost_per_volume.py --clock cpu --threads 1 --slices 16`.
- The rows of `demo_study` and `demo_prior` are the runs that `comparative_study` and
  `normative_prior` have their quality from. What `recommended` is worth on real scans is on
  [its page](recommended.md).

| approach | protocol | paper | family | needs | detector | ms | tumour | s per volume |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
# Of protocols whose approaches are of several sources.
NO_PAPER = "see its page"
NOT_MEASURED = "not measured"
# Seconds of a fused approach: fusing takes 1 to 2 s for a shard of four to ten scans.
OF_PARTS = "that of its parts"
# Cells of a row; the last three are measured.
CELLS, MEASURED = 9, 3


def shipped() -> list[str]:
    """Names of all protocols, in the order of the page."""
    names = sorted(path.stem for path in (ROOT / "protocols").glob("*.yaml"))
    return [*FIRST, *(name for name in names if name not in FIRST)]


def quality(tables: list[pandas.DataFrame], approach: str, cohort: str) -> str:
    """AUPRC / Dice of an approach (``protocol/name``), or "" where it was not measured."""
    for metrics in tables:
        own = metrics[(metrics["approach"] == approach) & (metrics["cohort"] == cohort)]
        found = []
        for metric, rule in (("auprc", "none"), ("dice_mean", "best_dice")):
            values = own.loc[(own["metric"] == metric) & (own["threshold_rule"] == rule), "value"]
            found.append(f"{values.mean():.3f}" if len(values) else "-")
        if found != ["-", "-"]:
            return " / ".join(found)
    return ""


def read_metrics(path: str) -> pandas.DataFrame:
    """What a study's table says of whole cohorts of test patients."""
    table = pandas.read_csv(path, sep="\t", low_memory=False)
    return table[(table["split"] == "test") & (table["level"] == "cohort")]


def read_costs(paths: list[str]) -> dict[tuple[str, str], str]:
    """(Protocol, approach) -> seconds per volume, from lines ``protocol approach: 1.2 s``."""
    lines = [line.strip() for path in paths for line in Path(path).read_text().splitlines()]
    found = [re.fullmatch(r"(\S+) (\S+): (\S+) s", line) for line in lines]
    costs = {(one[1], one[2]): float(one[3]) for one in found if one}
    return {key: f"{one:.2g}" if one < 100 else f"{one:.0f}" for key, one in costs.items()}


def read_families() -> dict[str, tuple[str, str]]:
    """Family -> what it needs, and its page, from the table of all families."""
    rows = [line.strip("| ").split(" | ") for line in FAMILIES.read_text().splitlines()]
    return {
        row[0].strip("`"): (row[3], "models/" + row[4].partition("(")[2].rstrip(")"))
        for row in rows
        if len(row) == 5 and "(" in row[4]
    }


def read_page() -> dict[tuple[str, str], list[str]]:
    """(Approach's title, protocol) -> what the page says was measured."""
    found = {}
    for line in PAGE.read_text().splitlines() if PAGE.exists() else []:
        cells = [one.strip() for one in line.removeprefix("|").removesuffix("|").split("|")]
        if len(cells) == CELLS and cells[1].startswith("`"):
            linked = re.fullmatch(r"\[(.*)\]\([^)]*\)", cells[0])
            title = linked[1] if linked else cells[0]
            found[title, cells[1].strip("`")] = cells[-MEASURED:]
    return found


def row_of(one: Approach, protocol: Protocol, families: dict[str, tuple[str, str]]) -> list[str]:
    """What an approach is: the cells before the measured ones."""
    if one.parts:
        family, needs, page, detector = "none", "its parts", FUSION, "fused"
    elif one.model not in protocol.models:
        family, needs, page, detector = "none", "nothing", INTENSITIES, f"`{one.detector}`"
    else:
        name = protocol.models[one.model].family
        needs, page = families[name]
        family, detector = f"`{name}`", f"`{one.detector}`"
    paper = protocol.citation or NO_PAPER
    return [f"[{one.title}]({page})", f"`{protocol.name}`", paper, family, needs, detector]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", nargs="+", default=[])
    parser.add_argument("--costs", nargs="+", default=[])
    arguments = parser.parse_args()
    costs = read_costs(arguments.costs)
    tables = [read_metrics(path) for path in arguments.metrics]
    rows, families, before = [], read_families(), read_page()
    for name in shipped():
        content = yaml.safe_load((ROOT / "protocols" / f"{name}.yaml").read_text())
        protocol, problems = parse_protocol(name, content)
        assert protocol is not None, problems
        for one in protocol.approaches.values():
            full = f"{SMALL.get(name, name)}/{one.name}"
            old = before.get((one.title, name), [""] * MEASURED)
            new = [quality(tables, full, cohort) for cohort in COHORTS]
            new.append(costs.get((name, one.name), ""))
            measured = [fresh or kept or NOT_MEASURED for fresh, kept in zip(new, old)]
            measured[-1] = OF_PARTS if one.parts else measured[-1]
            rows.append(f"| {' | '.join([*row_of(one, protocol, families), *measured])} |\n")
    PAGE.write_text(HEAD + "".join(rows))


if __name__ == "__main__":
    main()
