"""Blocks of YAML of the documentation, completed to studies that can be planned.

A block is a configuration or a protocol, or a part of one, by its keys. What it lacks comes from
the smallest one that there is, and from ``LACKS`` where a page's text says more than its block.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from made_copies import ROOT, blocks
from test_bundled import bundle, plan_of

from normscan.cohorts.layouts import read_layout
from normscan.errors import ConfigError
from normscan.workflow.configuration import Study, load_study, merged
from normscan.workflow.plan import Plan
from normscan.workflow.recipes import FOLDER

SUBJECTS = 6
# The name of a protocol's file, in its first line.
NAMED = re.compile(r"# (protocols/\w+\.yaml)\n")
KINDS = ("FLAIR", "T1w", "T2w", "ce-gd_T1w")
MASKS = ("label-lesion_mask", "seg-anatomy_dseg")
STEPS = [{"register": {}}, {"strip_skull": {}}]
PROTOCOL: dict[str, Any] = {
    "contrasts": ["FLAIR"],
    "preprocessing": STEPS,
    "slices": {"size": 128},
    "approaches": {"intensity": {"detector": "intensity"}},
}


def made(*healthy: str, patients: tuple[str, ...] = ()) -> dict[str, Any]:
    """Entries of cohorts of these names."""
    roles = {**dict.fromkeys(healthy, "healthy"), **dict.fromkeys(patients, "patients")}
    return {
        name: {"role": role, "source": "bids", "path": f"/data/made_{name}"}
        for name, role in roles.items()
    }


COHORTS = made("healthy", patients=("patients",))
# (Page, number of the block) -> the test that runs it, and why it is not planned here.
ELSEWHERE = {
    ("docs/new-detector.md", 0): "test_newcomers: asks for the detector that the page writes",
    ("docs/new-model.md", 0): "test_newcomers: asks for the family that the page writes",
    ("docs/new-step.md", 0): "test_howto_pages: asks for the step that the page writes",
    ("docs/new-layout.md", 0): "test_howto_pages: a layout of a data set",
    ("docs/new-layout.md", 1): "test_howto_pages: a cohort of that layout",
}
VAE = {
    "models": {"vae": {"family": "vae"}},
    "approaches": {"vae": {"model": "vae", "detector": "reconstruction"}},
}
TWO = {"contrasts": ["FLAIR", "T1w"]}
CLASSES = {"csf": 1, "grey_matter": 2, "white_matter": 3}
LABELLED = {"labelled": {**made("labelled")["labelled"], "anatomy_classes": CLASSES}}
# (Page, number of the block) -> what stands around the block in a reader's files:
#   "config", "protocol": of the one and of the other
#   "beside": another block of the page
#   "subjects": so many of every cohort
LACKS: dict[tuple[str, int], dict[str, Any]] = {
    ("docs/fusion.md", 0): {"protocol": VAE},
    ("docs/intensities.md", 1): {"protocol": TWO},
    ("docs/models/adm.md", 0): {"protocol": TWO},
    ("docs/models/anatomy_segmentation.md", 0): {
        "protocol": {"contrasts": ["T1w"], "approaches": {"intensity": {"contrast": "T1w"}}},
        "config": {"cohorts": LABELLED},
    },
    ("docs/models/self_taught.md", 0): {
        "config": {"cohorts": made("ixi", patients=("few", "ms"))},
    },
    ("docs/models/translation.md", 0): {"protocol": TWO},
    ("docs/new-cohort.md", 4): {
        "config": {"cohorts": made("healthy", patients=("gliomas",))},
        "subjects": 26,
    },
    ("docs/new-protocol.md", 3): {"beside": 0},
    # Of its thirteen classes the page names two, "and so on".
    ("docs/papers/kobayashi2021.md", 0): {
        "config": {
            "cohorts": {
                "labelled": {"anatomy_classes": {f"class_{one}": one for one in range(3, 14)}}
            }
        },
        "subjects": 12,
    },
    ("docs/papers/you2019.md", 0): {"subjects": 60},
    ("docs/recommended.md", 0): {"config": {"protocols": ["recommended"]}},
    ("docs/screening.md", 0): {"config": {"protocols": ["comparative_study"]}},
    ("docs/selection.md", 0): {"subjects": 26},
    ("docs/selection.md", 1): {"beside": 0, "subjects": 26},
    ("docs/training-sets.md", 0): {
        "protocol": {**TWO, **VAE},
        "config": {"cohorts": made("ixi", patients=("gliomas", "ms"))},
    },
}


def pages() -> list[str]:
    """All pages that may have examples."""
    found = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *found]


def examples() -> list[tuple[str, int]]:
    """(Page, number) of every block of YAML."""
    return [(page, number) for page in pages() for number, _ in enumerate(blocks(page, "yaml"))]


@cache
def keys(schema: str) -> set[str]:
    return set(yaml.safe_load((ROOT / f"schemas/{schema}.schema.yaml").read_text())["properties"])


def kind(example: dict) -> str:
    """``config`` or ``protocol``: the one that has all its keys.

    Raises
    ------
    ConfigError : neither has.
    """
    for one in ("config", "protocol"):
        if set(example) <= keys(one):
            return one
    raise ConfigError(f"{sorted(example)} are keys of no kind of file")


def planned(page: str, number: int, folder: Path, example: dict | None = None) -> Study:
    """A study with an example in it, on made data, once its plan was made.

    Parameters
    ----------
    page, number : where the example stands.
    folder : for the data, and for protocols.
    example : in place of what stands there.

    Raises
    ------
    ConfigError : what is wrong with it.
    """
    texts = blocks(page, "yaml")
    lacks = LACKS.get((page, number), {})
    protocols = folder / "protocols"
    protocols.mkdir(parents=True)
    for path in FOLDER.glob("*.yaml"):
        (protocols / path.name).symlink_to(path)
    for text in texts:
        if name := NAMED.match(text):
            (folder / name[1]).write_text(text)
    whole = {"protocol": PROTOCOL, "config": {}}
    parts = [yaml.safe_load(texts[lacks["beside"]])] if "beside" in lacks else []
    parts.append(yaml.safe_load(texts[number]) if example is None else example)
    whole = {one: merged(content, lacks.get(one, {})) for one, content in whole.items()}
    for part in parts:
        whole[kind(part)] = merged(whole[kind(part)], part)
    protocol, config = whole["protocol"], whole["config"]
    if "register" not in protocol["preprocessing"][0]:
        protocol["preprocessing"] = [*STEPS, *protocol["preprocessing"]]
    (protocols / "example.yaml").write_text(yaml.safe_dump(protocol))
    bundles = config.get("screening", {}).get("bundles")
    if bundles:
        made_bundles = folder / bundles.lstrip("/")
        changes = {"contrasts": ["FLAIR"], "preprocessing": STEPS}
        bundle(plan_of(folder, changes=changes), made_bundles)
        config["screening"]["bundles"] = str(made_bundles)
    else:
        config = {"protocols": ["example"], **config}
    if not bundles and not any({"protocols", "cohorts"} <= set(part) for part in parts):
        config["cohorts"] = {**COHORTS, **config.get("cohorts", {})}
    config = put_down(config, folder, lacks.get("subjects", SUBJECTS))
    study = load_study(config, folder, protocols)
    plan = Plan(study)
    assert plan.results() and plan.preprocessing.all_packs()
    return study


def put_down(config: dict, folder: Path, subjects: int = SUBJECTS) -> dict:
    """A configuration with made data in place of its paths; one folder for each path."""
    cohorts, so_far = {}, {}
    for name, entry in config["cohorts"].items():
        if not isinstance(entry, dict) or not {"path", "source"} <= set(entry):
            cohorts[name] = entry
            continue
        path = folder / entry["path"].lstrip("/")
        root = path.parent if path.suffix == ".tsv" else path
        first = so_far.get(path, 0)
        numbers = range(first, first + subjects)
        so_far[path] = first + subjects
        for file in (one for number in numbers for one in files(entry["source"], number)):
            target = root / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        if entry["source"] == "table":
            write_table(path, numbers)
        elif "where" in entry:
            write_participants(path / "participants.tsv", numbers, entry["where"])
        cohorts[name] = {**entry, "path": str(path)}
    return {**config, "cohorts": cohorts}


def files(source: str, subject: int) -> list[str]:
    """Files of one subject, as a source expects them."""
    if source in ("bids", "table"):
        label = f"sub-{subject:02d}"
        return [f"{label}/anat/{label}_{one}.nii.gz" for one in (*KINDS, *MASKS)]
    if source == "dicom":
        return [f"S{subject}/1.dcm"]
    made = {"**/": "", "nii*": "nii.gz", "*": "x", "{subject}": f"S{subject}", "{session}": "1"}
    paths = [alternatives[0] for alternatives in read_layout(source)["patterns"].values()]
    for pattern, text in made.items():
        paths = [path.replace(pattern, text) for path in paths]
    return paths


def write_table(path: Path, numbers: range) -> None:
    """A table of such subjects, of files beside it."""
    columns = {"FLAIR": "FLAIR", "T1w": "T1w", "T2w": "T2w", "T1ce": "ce-gd_T1w"}
    columns |= dict(zip(("lesion_mask", "anatomy"), MASKS))
    rows = ["\t".join(["subject", *columns])]
    for number in numbers:
        label = f"sub-{number:02d}"
        paths = [f"{label}/anat/{label}_{one}.nii.gz" for one in columns.values()]
        rows.append("\t".join([label, *paths]))
    path.write_text("\n".join(rows) + "\n")


def write_participants(path: Path, numbers: range, where: dict) -> None:
    """Rows of a cohort's subjects, behind those of others of the same folder."""
    columns = ["group", "site"]
    rows = path.read_text().splitlines() if path.exists() else []
    rows = rows or ["\t".join(["participant_id", *columns])]
    for number in numbers:
        values = [where.get(one, 1) for one in columns]
        values = [one[number % len(one)] if isinstance(one, list) else one for one in values]
        rows.append("\t".join([f"sub-{number:02d}", *map(str, values)]))
    path.write_text("\n".join(rows) + "\n")
