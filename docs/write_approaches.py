"""Write docs/approaches.md: every approach of the papers' protocols, and what was measured.

``--metrics results-papers/metrics.tsv`` adds the quality on the demo's cohorts (``make papers``),
``--costs FILE`` seconds per volume (what ``cost_per_volume.py`` printed). Without them the columns
are empty.
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

from normscan.workflow.protocols import parse_protocol  # noqa: E402

PROTOCOLS = (
    "comparative_study", "thesis", "thesis_labels", "normative_prior",
    "strega", "strega_baselines", "adm", "global_local", "further_methods",
)  # fmt: skip
# Recipes that `make papers` runs a small form of under another name.
SMALL = {"comparative_study": "demo_study", "normative_prior": "demo_prior"}
COHORTS = ("ms", "tumour")
PAGE = ROOT / "docs/approaches.md"
FAMILIES = ROOT / "docs/models/README.md"
HEAD = """# All approaches

Every approach of the papers' protocols, and the methods that these lack. Written by
`python docs/write_approaches.py`.

- **Quality**: AUPRC over all voxels / mean Dice of test patients, at the threshold that is best on
  the validation patients, on the simulated cohorts `ms` and `tumour` of `make papers`. Its recipes
  are made small, to run on a laptop: numbers say that an approach works, not which is best.
- **Cost**: processor seconds of one thread (Intel Xeon, 2.8 GHz, busy with other work) per volume
  of 74 slices of 128 x 128, with the protocol's own settings and networks. Measured on 16 slices,
  where a volume takes over 12 s on 1 or 2:
  `python benchmarks/cost_per_volume.py --clock cpu --threads 1 --slices 16`.
{state}
| approach | protocol | paper | family | needs | detector | ms | tumour | s per volume |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
# Of protocols whose approaches are of several sources.
NO_PAPER = "see its page"
NOTHING = "- An empty column was not measured yet.\n"


def quality(metrics: pandas.DataFrame, approach: str, cohort: str) -> str:
    """AUPRC / Dice of an approach (``protocol/name``), or "" where it was not measured."""
    own = metrics[(metrics["approach"] == approach) & (metrics["cohort"] == cohort)]
    found = []
    for metric, rule in (("auprc", "none"), ("dice_mean", "best_dice")):
        values = own.loc[(own["metric"] == metric) & (own["threshold_rule"] == rule), "value"]
        found.append(f"{values.mean():.3f}" if len(values) else "-")
    return "" if found == ["-", "-"] else " / ".join(found)


def read_costs(path: str) -> dict[tuple[str, str], float]:
    """(Protocol, approach) -> seconds per volume, from lines ``protocol approach: 1.2 s``."""
    lines = Path(path).read_text().splitlines() if path else []
    found = [re.fullmatch(r"(\S+) (\S+): (\S+) s", line.strip()) for line in lines]
    return {(one[1], one[2]): float(one[3]) for one in found if one}


def read_needs() -> dict[str, str]:
    """Family -> what it needs, from the table of all families."""
    cells = [line.split(" | ") for line in FAMILIES.read_text().splitlines()]
    return {line[0].strip("| `"): line[3] for line in cells if len(line) == 5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", default="")
    parser.add_argument("--costs", default="")
    arguments = parser.parse_args()
    costs = read_costs(arguments.costs)
    metrics = pandas.DataFrame(columns=["approach", "cohort", "metric", "threshold_rule", "value"])
    if arguments.metrics:
        table = pandas.read_csv(arguments.metrics, sep="\t", low_memory=False)
        metrics = table[(table["split"] == "test") & (table["level"] == "cohort")]
    rows, needs = [], read_needs()
    for name in PROTOCOLS:
        content = yaml.safe_load((ROOT / "protocols" / f"{name}.yaml").read_text())
        protocol, problems = parse_protocol(name, content)
        assert protocol is not None, problems
        for one in protocol.approaches.values():
            family = protocol.models[one.model].family if one.model in protocol.models else ""
            full = f"{SMALL.get(name, name)}/{one.name}"
            cost = costs.get((name, one.name))
            cells = [
                one.title,
                f"`{name}`",
                protocol.citation or NO_PAPER,
                f"`{family}`" if family else "none",
                needs[family] if family else "nothing",
                f"`{one.detector}`",
                *(quality(metrics, full, cohort) for cohort in COHORTS),
                "" if cost is None else f"{cost:.2g}" if cost < 100 else f"{cost:.0f}",
            ]
            rows.append(f"| {' | '.join(cells)} |\n")
    state = "" if arguments.metrics and arguments.costs else NOTHING
    PAGE.write_text(HEAD.format(state=state) + "".join(rows))


if __name__ == "__main__":
    main()
