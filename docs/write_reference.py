"""Write docs/reference: every key of config.yaml and of a protocol, from schemas and constants.

``--folder FOLDER`` writes elsewhere. Exits with 1 where a key has no meaning, and names it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "docs")]

from reference_book import HEAD, Book, first_sentence, sentence, words  # noqa: E402
from reference_defaults import config_default, protocol_default  # noqa: E402
from reference_rows import Row, as_yaml, schema_rows  # noqa: E402

from normscan.cohorts.layouts import layout_names, read_layout  # noqa: E402
from normscan.cohorts.plan_simulation import SETTINGS_FILE  # noqa: E402
from normscan.cohorts.scans import CONTRASTS  # noqa: E402
from normscan.detectors import registry as detectors  # noqa: E402
from normscan.models import registry as models  # noqa: E402
from normscan.networks import registry as networks  # noqa: E402
from normscan.plugins import literals  # noqa: E402
from normscan.preprocessing import atlases  # noqa: E402
from normscan.workflow import one_scan  # noqa: E402
from normscan.workflow.declared import LIBRARY  # noqa: E402
from normscan.workflow.protocol_fused import EQUAL  # noqa: E402
from normscan.workflow.protocol_models import AUGMENTATION  # noqa: E402
from normscan.workflow.protocols import SLICE_RULES, THRESHOLDS, rule_kinds, step_kinds  # noqa: E402

FOLDER = ROOT / "docs" / "reference"
WRITTEN = "Written by `python docs/write_reference.py` from the schemas and the code; not by hand."
ATLASES = f"{', '.join(f'`{one}`' for one in atlases.BUNDLED)}, one of `atlases`"
# What these may be is checked where other cohorts and scans are known.
PLANNED = {
    "hosts": "a healthy cohort",
    "lesions": "a cohort of patients",
    "masks": "paths with `*`, or a shape",
    "atlas": ATLASES,
    "lesion_contrasts": "contrast: contrast",
    "contrast": "contrast: a number but 0",
    "contrasts": f"of {', '.join(f'`{one}`' for one in CONTRASTS)}",
    "spacing": "above 0: a number, three, or either by contrast",
    "seed": "a whole number",
}


def _schema(book: Book, name: str, default: Callable[[tuple[str, ...]], Any]) -> str:
    text = (ROOT / "schemas" / f"{name}.schema.yaml").read_text(encoding="utf-8")
    return book.table(f"schemas/{name}.schema.yaml", schema_rows(yaml.safe_load(text), default))


def configuration(book: Book) -> str:
    """``config.yaml``."""
    rows = [Row(key, "", "", "", "", text) for key, text in one_scan.MEANING.items()]
    layouts = "".join(
        f"| `{name}` | {' '.join(found['description'].split())} | {_layout(found)} |\n"
        for name in layout_names()
        if (found := read_layout(name))
    )
    synthetic = LIBRARY / "cohorts" / "plan_synthetic.py"
    return (
        "`NAME` is a name that you give. How to use what: [cohorts](../new-cohort.md), "
        "[screening](../screening.md), [selection](../selection.md).\n\n"
        + _schema(book, "config", config_default)
        + "## One scan\n\nOn the command line only: `snakemake screen --config scan=FILE` "
        "([how](../screening.md)).\n\n| key | meaning |\n| --- | --- |\n"
        + "".join(f"| `{row.key}` | {row.meaning} |\n" for row in rows)
        + "\n## simulation\n\nOf a cohort with `source: simulated`.\n\n"
        + book.settings(SETTINGS_FILE, {}, **_only(SETTINGS_FILE, PLANNED))
        + "## synthetic\n\nOf a cohort with `source: synthetic` "
        "([how](../new-cohort.md#synthetic-anomalies-lesions-on-healthy-scans)).\n\n"
        + book.settings(synthetic, {}, **_only(synthetic, PLANNED))
        + "## Known layouts\n\n| source | what | its defaults |\n| --- | --- | --- |\n"
        + layouts
    )


def _only(file: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Those that a file has settings of, and does not say itself."""
    said = literals(file)
    return {
        key: text
        for key, text in known.items()
        if key in said["SETTINGS"] and key not in said["ALLOWED"]
    }


def _layout(found: Mapping[str, Any]) -> str:
    given = {key: one for key, one in found["defaults"].items() if one not in ("", {}, [], False)}
    return ", ".join(f"`{key}: {as_yaml(one)}`" for key, one in given.items())


def protocol(book: Book) -> str:
    """A protocol's file."""
    fused = LIBRARY / "workflow" / "protocol_fused.py"
    said = literals(fused)
    weights = Row(
        "weights",
        "text or mapping",
        EQUAL,
        f"`{EQUAL}`; part: above 0",
        "",
        said["MEANING"]["weights"],
    )
    augmentation = literals(AUGMENTATION)
    return (
        "A file of `protocols/`. `NAME` is a name that you give. Settings of "
        "[preprocessing](preprocessing.md), [models](models.md), [detectors](detectors.md) and "
        "[threshold rules](threshold-rules.md) have pages of their own; [how a protocol is "
        "written](../new-protocol.md).\n\n"
        + _schema(book, "protocol", protocol_default)
        + "## slices\n\n"
        + book.settings(LIBRARY / "slices" / "pack.py", {})
        + "## Fused approaches\n\nBeside `fuse` ([how](../fusion.md)).\n\n"
        + book.settings(fused, {}).rstrip("\n")
        + "\n"
        + book.table("fused", [weights]).removeprefix(HEAD)
        + "## Augmentation\n\n"
        + "Under `augmentation` of a model: transforms of its training slices, in the order "
        "in which they are applied.\n\n"
        + book.kinds(AUGMENTATION, augmentation["TRANSFORMS"], "###")
    )


def preprocessing(book: Book) -> str:
    """Steps and atlases."""
    text = (
        "Steps of a protocol's `preprocessing`, in alphabetical order; [a new "
        "one](../new-step.md). The first step of every protocol is `register`.\n\n"
    )
    for kind in step_kinds():
        file = LIBRARY / "preprocessing" / f"{kind}.py"
        after = literals(file).get("AFTER", [])
        stands = f" Stands after {words(after)}." if after else ""
        own = _only(file, {"atlas": ATLASES, "reference": "`healthy`, cohort/sub-LABEL"})
        text += f"## {kind}\n\n{first_sentence(file)}{stands}\n\n"
        text += book.settings(file, {}, **own)
    return text


def model_families(book: Book) -> str:
    """Model families and networks."""
    index = (ROOT / "docs/models/README.md").read_text(encoding="utf-8")
    pages = dict(re.findall(r"^\| `(\w+)` \|.*\]\((\w+\.md)\) \|$", index, re.M))
    text = (
        "Settings of a model in a protocol, by its `family`; [a new one](../new-model.md). "
        "Keys that all models have are those of [the protocol](protocol.md).\n\n"
    )
    for family in models.families():
        file, about = models.FOLDER / f"{family}.py", models.describe(family)
        fitting = networks.having(about["parts"]) if about["parts"] else []
        forms = [one for net in fitting for one in networks.describe(net)["bottlenecks"]]
        forms = [one for one in ("dense", "spatial") if about[f"needs_{one}"]] or forms
        own = {"network": words(fitting), "bottleneck": words(dict.fromkeys(forms))}
        own = {key: words for key, words in own.items() if key in about["settings"]}
        page = f" [How it works](../models/{pages[family]})." if family in pages else ""
        facts = {
            "Can": sorted(about["capabilities"]),
            "Streams": about["streams"] if about["streams"] != ("main",) else (),
            "Layers": sorted(about["layers"]),
            "Uses": sorted(about["uses"]),
        }
        said = " ".join(f"{key}: {words(found)}." for key, found in facts.items() if found)
        text += f"## {family}\n\n{sentence(literals(file)['TITLE'])}{page} {said}\n\n"
        text += book.settings(file, models.MEANING, **own)
    text += "## Networks\n\nEach serves families that need no other parts.\n\n"
    text += "| network | parts | bottlenecks | side of slices |\n| --- | --- | --- | --- |\n"
    for name in networks.names():
        about = networks.describe(name)
        cells = [words(sorted(about["parts"])), words(about["bottlenecks"]), about["side"]]
        text += f"| `{name}` | {' | '.join(cells)} |\n"
    return text


def detector_pages(book: Book) -> str:
    """Detectors."""
    text = "Settings of an approach, by its `detector`; [a new one](../new-detector.md).\n\n"
    for name in detectors.names():
        file, about = detectors.FOLDER / f"{name}.py", detectors.describe(name)
        text += f"## {name}\n\n{sentence(literals(file)['TITLE'])} {_needs(about)}\n\n"
        text += book.settings(file, detectors.MEANING)
    return text


def _needs(about: Mapping[str, Any]) -> str:
    """What a detector needs, and what comes of it."""
    able = words(sorted(about["needs"]))
    said = [f"Needs a model that can {able}." if able else "Needs no model."]
    for key, needed in about["needed_for"].items():
        one = f"`{needed}`" if isinstance(needed, str) else _pairs(needed)
        said.append(f"With `{key}` the model must also be able to: {one}.")
    said += [f"Uses: {words(sorted(about['uses']))}."] if about["uses"] else []
    levels = sorted(about["levels"])
    said += [f"Scores: {words(levels)}."] if levels != ["voxel"] else []
    return " ".join([*said, *([] if about["signed"] else ["Its map has no sign."])])


def _pairs(needed: Mapping[str, str]) -> str:
    return ", ".join(f"`{needs}` for `{value}`" for value, needs in needed.items())


def threshold_rules(book: Book) -> str:
    """Threshold rules."""
    kinds = rule_kinds()
    chosen, sliced = literals(THRESHOLDS)["RULES"], literals(SLICE_RULES)["SLICE_RULES"]
    assert kinds.keys() == chosen.keys() | sliced.keys()
    return (
        "Entries of a protocol's `threshold_rules`. Detections are made by the first one.\n\n"
        + book.kinds(THRESHOLDS, chosen, cohorts="names of cohorts")
        + book.kinds(SLICE_RULES, sliced)
    )


PAGES = {
    "configuration": ("Configuration", configuration),
    "protocol": ("Protocol", protocol),
    "preprocessing": ("Preprocessing steps", preprocessing),
    "models": ("Models", model_families),
    "detectors": ("Detectors", detector_pages),
    "threshold-rules": ("Threshold rules", threshold_rules),
}


def write(folder: Path) -> list[str]:
    """Write all pages; the keys without a meaning."""
    book = Book()
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, make) in PAGES.items():
        text = f"# {title}\n\n{WRITTEN}\n\n{make(book)}"
        (folder / f"{name}.md").write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    links = "".join(f"- [{title}]({name}.md)\n" for name, (title, _) in PAGES.items())
    intro = f"# Reference\n\nEvery key, its type, default, range, unit and meaning. {WRITTEN}\n\n"
    (folder / "README.md").write_text(intro + links, encoding="utf-8")
    return book.silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    if silent := write(parser.parse_args().folder):
        sys.exit("\n".join(["these have no meaning; give them one where they stand:", *silent]))


if __name__ == "__main__":
    main()
