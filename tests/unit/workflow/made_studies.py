"""Studies of empty files and protocols of plug-ins that say of themselves what a test needs."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

from normscan import plugins
from normscan.workflow import declared
from normscan.workflow.configuration import load_study
from normscan.workflow.plan import Plan

PROTOCOL = {
    "contrasts": ["T1w", "FLAIR"],
    "preprocessing": [{"register": {}}],
    "slices": {"size": 32},
    "models": {"vae": {"family": "vae"}, "ae": {"family": "ae"}},
    "approaches": {
        "intensity": {"detector": "intensity"},
        "vae": {"model": "vae", "detector": "reconstruction"},
        "ae": {"model": "ae", "detector": "reconstruction"},
    },
}
COHORTS = {
    "ixi": ("healthy", 5),
    "oasis": ("healthy", 4),
    "gliomas": ("patients", 9),
    "ms": ("patients", 6),
    "new": ("unlabelled", 2),
}


def protocol(**changes) -> dict:
    """A protocol with some of its keys laid over (mappings are merged one level deep)."""
    content = copy.deepcopy(PROTOCOL)
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return content


def say(monkeypatch, room: str, name: str, **literals) -> None:
    """Let a plug-in declare further constants."""
    path = declared.LIBRARY / room / f"{name}.py"
    original = plugins.literals

    def changed(asked):
        return {**original(asked), **literals} if asked == path else original(asked)

    for module in ("normscan.workflow.declared", "normscan.plugins"):
        monkeypatch.setattr(f"{module}.literals", changed)
    for room_name in ("models", "detectors", "networks"):
        monkeypatch.setattr(f"normscan.{room_name}.registry.literals", changed)


def put_down(folder: Path, name: str, role: str, subjects: int) -> dict:
    """A BIDS folder of empty files, said to show brains, and its entry in a configuration."""
    for number in range(subjects):
        label = f"sub-{number:02d}"
        anat = folder / name / label / "anat"
        anat.mkdir(parents=True, exist_ok=True)
        for kind in ("T1w", "FLAIR", *(["label-lesion_mask"] if role == "patients" else [])):
            (anat / f"{label}_{kind}.nii.gz").touch()
    entry = {"role": role, "source": "bids", "path": str(folder / name)}
    return {**entry, "skull_stripped": True}


def load(folder: Path, *protocols: dict, cohorts=tuple(COHORTS), **config):
    """The study of protocols p0, p1, ... on made cohorts."""
    import yaml

    files = []
    for number, content in enumerate(protocols):
        path = folder / f"p{number}.yaml"
        path.write_text(yaml.safe_dump(content))
        files.append(str(path))
    entries = {name: put_down(folder / "data", name, *COHORTS[name]) for name in cohorts}
    for name, changes in config.pop("changes", {}).items():
        entries[name] |= changes
    return load_study({"protocols": files, "cohorts": entries, **config}, folder, folder)


def plan(folder: Path, *protocols: dict, **config) -> Plan:
    """Their plan."""
    return Plan(load(folder, *protocols, **config))


def wildcards(plan: Plan, protocol: str = "p0", **more) -> SimpleNamespace:
    """Wildcards of a protocol's chain and pack, seed 0."""
    chain, pack = plan.preprocessing.chain[protocol], plan.preprocessing.pack[protocol]
    return SimpleNamespace(chain=chain, pack=pack, seed=0, **more)
