"""Bundles in the place of protocols, where a configuration names none: it screens, and no more.

A bundle says how scans are to be made ready for its model, and with what they are marked. So a site
that has bundles and scans needs neither a protocol's file nor anything that models are trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from normscan import layout as places
from normscan.detectors import registry as detectors
from normscan.errors import BundleError, NormscanError
from normscan.files import read_json
from normscan.models import registry as models
from normscan.networks import registry as networks
from normscan.paths import NAME, NAME_IN_WORDS
from normscan.postprocessing.exported import DIGEST, GREATEST_SEED, read_record
from normscan.postprocessing.exported_fused import FUSION, PARTS
from normscan.workflow.histogram_references import STEP
from normscan.workflow.protocols import Protocol, preparing_protocol
from normscan.workflow.schema import schema_problems

MODEL = places.BUNDLE.rpartition("/")[2]
# An approach, at a share of the training subjects or at all of them.
VARIANT = re.compile(NAME.pattern + r"(@(?P<share>[0-9]+(\.[0-9]+)?(e-[0-9]+)?)pct)?")
SEED = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class Bundle:
    """What planning has to know of a bundle.

    Attributes
    ----------
    folder : in which it lies.
    record : as of :func:`normscan.postprocessing.exported.read_record`.
    descriptions : of its model and of those that its detector uses.
    wanted : it is to be shown; otherwise something wanted is fused of it.
    """

    folder: Path
    protocol: str
    variant: str
    seed: int
    record: dict[str, Any]
    descriptions: tuple[dict[str, Any], ...]
    wanted: bool = True

    @property
    def parts(self) -> list[dict[str, Any]]:
        """What it is fused of: variant, seed, weight, digest of the bundle; usually nothing."""
        return self.record[PARTS] if self.record["detector"] == FUSION else []

    @property
    def name(self) -> str:
        """As ``screening.approaches`` has it."""
        return f"{self.protocol}/{self.variant}"

    def cost(self) -> float:
        """Time that a scan takes, as detector and families say it, at least a usual one's."""
        if self.parts:
            return 1.0
        own = [models.describe(one["family"])["cost"] for one in self.descriptions[:1]]
        return max(1.0, detectors.describe(self.record["detector"])["cost"] * (own or [1.0])[0])

    def modules(self) -> list[str]:
        """What its code is made of besides what scripts import."""
        if self.parts:
            return []
        names = [f"normscan.detectors.{self.record['detector']}"]
        waiting = list(self.descriptions)
        while waiting:
            one = waiting.pop(0)
            names.append(f"normscan.models.{one['family']}")
            network = one["settings"].get("network")
            names += [f"normscan.networks.{network}"] if network else []
            waiting += one["uses"].values()
        return list(dict.fromkeys(names))


def bundle_folder(config: Mapping[str, Any], base: Path) -> Path:
    """Where bundles are looked for: ``screening.bundles``, or those of the results."""
    named = (config.get("screening") or {}).get("bundles")
    return base / (named or Path(config.get("results") or "results", places.BUNDLES))


def instead_of_protocols(
    config: Mapping[str, Any], base: Path
) -> tuple[list[Bundle], dict[str, Protocol], list[str]]:
    """Bundles to screen with, how they want scans to be made ready, and every problem found.

    Parameters
    ----------
    config : parsed ``config.yaml``, without protocols.
    base : folder that relative paths start from.
    """
    for name, entry in config["cohorts"].items():
        if entry.get("role") != "unlabelled":
            problem = (
                "config: key 'protocols' is missing; without it cohorts are screened with bundles, "
                f"and the role of '{name}' is not 'unlabelled'"
            )
            return [], {}, [problem]
    wanted = (config.get("screening") or {}).get("approaches", [])
    bundles, problems = find_bundles(bundle_folder(config, base), wanted)
    protocols, wrong = bundled_protocols(bundles)
    return bundles, protocols, problems + wrong


def find_bundles(root: Path, wanted: list[str]) -> tuple[list[Bundle], list[str]]:
    """Bundles to screen with, each approach by its first seed, and every problem found.

    Parameters
    ----------
    root : folder of bundles.
    wanted : names of approaches (``protocol/variant``); empty: all that have maps.
    """
    there: dict[str, dict[int, Path]] = {}
    odd: dict[str, list[str]] = {}
    for path in sorted(root.glob(f"{places.pattern(places.JOB)}/{places.APPROACH}")):
        where = places.parse(f"{places.JOB}/{places.APPROACH}", path)
        name = f"{where['protocol']}/{where['variant']}"
        if wrong := list(_name_problems(path.parent, **where)):
            odd.setdefault(name, []).extend(wrong)
        else:
            there.setdefault(name, {})[int(where["seed"])] = path.parent
    if not there and not odd:
        return [], [
            "config: key 'protocols' is missing; without it scans are screened with bundles, and "
            f"{root} has none: name their folder in screening.bundles"
        ]
    problems = list(dict.fromkeys(line for name in wanted or odd for line in odd.get(name, ())))
    problems += [
        f"config.screening.approaches: no bundle of '{name}' in {root}; there are: "
        + ", ".join(there)
        for name in wanted
        if name not in there and name not in odd
    ]
    found = []
    for name in wanted or there:
        try:
            if name in there:
                found.append(_read(*min(there[name].items())))
        except NormscanError as error:
            problems.append(str(error))
    usable = [one for one in found if _has_maps(one)]
    problems += [
        f"config.screening.approaches: '{one.name}' scores whole slices, so that there is nothing "
        "to be marked"
        for one in found
        if wanted and one not in usable
    ]
    if not usable and not problems:
        problems.append(f"{root}: no bundle there has maps, so that nothing can be marked")
    parts, lacking = find_parts(root, usable)
    return usable + parts, problems + lacking


def find_parts(root: Path, bundles: list[Bundle]) -> tuple[list[Bundle], list[str]]:
    """Bundles that some are fused of and that are not among them, and every problem found."""
    there = {(one.protocol, one.variant, one.seed): one for one in bundles}
    found, problems = [], []
    for whole in bundles:
        for part in whole.parts:
            job = (whole.protocol, part["variant"], part["seed"])
            folder = Path(root, places.JOB.format(protocol=job[0], variant=job[1], seed=job[2]))
            try:
                if wrong := [*_name_problems(folder, job[0], job[1], str(job[2]))]:
                    raise BundleError("; ".join(wrong))
                if job not in there:
                    if not (folder / places.APPROACH).is_file():
                        raise BundleError(
                            f"{whole.folder}: is fused of {folder}, which is missing; copy that "
                            "bundle too"
                        )
                    there[job] = replace(_read(part["seed"], folder), wanted=False)
                    found.append(there[job])
                if there[job].record[DIGEST] != part["digest"]:
                    raise BundleError(
                        f"{whole.folder}: {folder} is not the bundle that it was fused with; "
                        "export both again"
                    )
            except NormscanError as error:
                problems.append(str(error))
    return found, problems


def _name_problems(folder: Path, protocol: str, variant: str, seed: str) -> Iterator[str]:
    """What in the names of a bundle's folders cannot be: they become wildcards and paths."""
    share = VARIANT.fullmatch(variant)
    again = "give the folder the name that the bundle was exported with"
    if not NAME.fullmatch(protocol):
        where = str(folder.parents[1])
        yield f"{where!r}: {NAME_IN_WORDS} in a protocol's name; {again}"
    if not share or not 0 < float(share["share"] or 100) <= 100:
        where = str(folder.parents[0])
        yield (
            f"{where!r}: {NAME_IN_WORDS} in an approach's name, and a share of the subjects as in "
            f"vae@10pct; {again}"
        )
    if not SEED.fullmatch(seed) or int(seed) > GREATEST_SEED:
        where = str(folder)
        yield f"{where!r}: a seed is a whole number of at most {GREATEST_SEED}; {again}"


def _read(seed: int, folder: Path) -> Bundle:
    """A bundle; BundleError when something in it cannot be."""
    where = places.parse(places.JOB, folder)
    record = read_record(folder / places.APPROACH, where["protocol"])
    own = [folder / MODEL] if MODEL in record["files"] else []
    used = [folder / "uses" / role / MODEL for role in record["uses"]]
    descriptions = tuple(_description(path) for path in (*own, *used))
    fused = record["detector"] == FUSION
    needs = set() if fused else detectors.describe(record["detector"])["needs"]
    able = _able(descriptions[0]) if own else set()
    if lacking := sorted(needs - able):
        raise BundleError(
            f"{folder}: its model cannot {', '.join(lacking)}, which its detector "
            f"{record['detector']} needs; export it again"
        )
    return Bundle(folder, where["protocol"], where["variant"], seed, record, descriptions)


def _able(description: Mapping[str, Any]) -> set[str]:
    """What a model can do; settings that are of another kind are said when it is built."""
    try:
        return models.capabilities(description["family"], description["settings"])
    except TypeError:
        return models.describe(description["family"])["capabilities"]


def _description(path: Path) -> dict[str, Any]:
    """Of a model; it is input like all of a bundle, and its families are to be known ones."""
    content = read_json(path)
    try:
        waiting = [content]
        while waiting:
            one = waiting.pop()
            models.describe(one["family"])
            if "network" in one["settings"]:
                networks.describe(one["settings"]["network"])
            waiting += one["uses"].values()
    except (NormscanError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: describes no model that is known here ({error})") from None
    return content


def _has_maps(bundle: Bundle) -> bool:
    return bool(bundle.parts) or "voxel" in detectors.describe(bundle.record["detector"])["levels"]


def bundled_protocols(bundles: list[Bundle]) -> tuple[dict[str, Protocol], list[str]]:
    """How the scans of bundles are made ready, by the name of their protocol, and all problems."""
    found: dict[str, Protocol] = {}
    first: dict[str, Bundle] = {}
    problems: list[str] = []
    for bundle in bundles:
        before = first.setdefault(bundle.protocol, bundle)
        if before.record["fingerprint"] != bundle.record["fingerprint"]:
            problems.append(
                f"{bundle.folder}: its scans are made ready otherwise than those of "
                f"{before.folder}; export both again, or name one of them in screening.approaches"
            )
        if before is bundle:
            protocol, wrong = _protocol(bundle)
            problems += wrong
            if protocol:
                found[bundle.protocol] = protocol
    return found, problems


def _protocol(bundle: Bundle) -> tuple[Protocol | None, list[str]]:
    print_of = bundle.record["fingerprint"]
    try:
        steps = [dict(one) for one in print_of["preprocessing"]]
        entries = [{step.pop("step"): step} for step in steps]
        contrasts, slices = print_of["contrasts"], print_of["slices"]
        recipe = {"contrasts": contrasts, "preprocessing": entries, "slices": slices}
        problems = schema_problems(
            {**recipe, "approaches": {"none": {"detector": "none"}}}, "protocol", ""
        )
        if problems:
            raise ValueError(problems)
        protocol, problems = preparing_protocol(bundle.protocol, contrasts, entries, slices)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None, [f"{bundle.folder}: does not say how scans are made ready; export it again"]
    for step in protocol.steps:
        if step.kind == STEP:
            problems.append(
                f"{bundle.folder}: histograms are matched to {step.settings['reference']}, whose "
                "image no bundle holds; screen with the configuration that has that cohort"
            )
    return protocol, [f"{bundle.folder}: {line}" for line in problems]
