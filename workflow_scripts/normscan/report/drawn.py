"""Figures of a report: which belong to the answer, and how the others are sorted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscan.files import read_json
from normscan.report.embedding import Pictures

ORDER = (
    "Study",
    "Published and measured",
    "Approaches side by side",
    "Curves",
    "Dice",
    "Residuals",
    "Slices",
    "Training",
)
WIDE = ("Slices", "Approaches side by side")


def key_figures(
    figures: Sequence[Mapping[str, Any]], boards: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """What a reader looks at first: AUPRC of each protocol, and slices of each board's best.

    Parameters
    ----------
    figures : ``section``, ``title``, and as far as known ``name``, ``protocol``, ``cohort``.
    boards : of ``boards.board``; combined ones are left out.
    """
    known = {(one.get("protocol"), one.get("cohort"), one.get("name")): one for one in figures}
    wanted: list[tuple] = []
    for board in boards:
        if board["combined"] or not board["best"]:
            continue
        protocol, best = board["protocol"], board["best"].approach.rpartition("/")[2]
        wanted += [(protocol, None, "auprc"), (protocol, board["cohort"], f"slices_{best}")]
    return [known[key] for key in dict.fromkeys(wanted) if key in known]


def figure_groups(
    figures: Sequence[Mapping[str, Any]], pictures: Pictures
) -> list[tuple[str, int, list[tuple[str, list[dict[str, Any]]]]]]:
    """(section, how many, [(what of, figures)]): the usual sections first.

    Figures of one cohort and protocol stand together; what a figure is of stays empty where all
    of a section are of the same.
    """
    sections: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for entry in figures:
        groups = sections.setdefault(str(entry.get("section") or "Figures"), {})
        of = " · ".join(str(entry[key]) for key in ("cohort", "protocol") if entry.get(key))
        groups.setdefault(of, []).append(shown(entry, pictures))
    place = {name: index for index, name in enumerate(ORDER)}
    return [
        (name, sum(map(len, groups.values())), list(groups.items()))
        for name, groups in sorted(
            sections.items(), key=lambda item: place.get(item[0], len(ORDER))
        )
    ]


def shown(entry: Mapping[str, Any], pictures: Pictures, *, key: bool = False) -> dict[str, Any]:
    """A figure as the template takes it; one of the answer stands alone, and names its protocol."""
    of = f" ({entry['protocol']})" if key else ""
    return {
        "title": f"{entry['title']}{of}",
        "caption": str(entry.get("caption") or ""),
        "kind": "wide" if entry.get("section") in WIDE else "",
        **pictures.shown(entry, key=key),
    }


def drawings(studies: Iterable[tuple[str, str]], files: Any) -> list[dict[str, Any]]:
    """Figures as rules listed them, with what they are of: a protocol, and a cohort if of one.

    Parameters
    ----------
    studies : (protocol, list of its figures). files : inputs of the report, by name.
    """
    selection = ((read_json(path)["protocol"], path) for path in files.selection)
    found = [
        {"protocol": protocol, "name": Path(one["png"]).stem, **one}
        for protocol, path in [*studies, *selection]
        for one in read_json(path)["figures"]
    ]
    for path in files.figures:
        listed = read_json(path)
        of = {"protocol": listed["protocol"], "cohort": listed["cohort"]}
        found += [{**of, "name": Path(one["png"]).stem, **one} for one in listed["figures"]]
    return found


def training_figures(trained: Iterable[Mapping[str, Any]], files: Any) -> list[dict[str, Any]]:
    """Training curves of all models.

    Parameters
    ----------
    trained : ``model`` and ``seed``, in the order of ``files.curves`` (tables, which the pictures
        stand beside) and ``files.models`` (descriptions of bundles).
    """
    found = []
    for one, curve, model in zip(trained, files.curves, files.models, strict=True):
        facts = read_json(model)
        found.append(
            {
                "section": "Training",
                "title": f"{one['model']}, seed-{one['seed']}",
                "caption": f"{facts['epochs']} epochs, {facts['parameters']:,} parameters, trained "
                f"on {len(facts['scans']['train'])} scans.",
                "png": str(Path(curve).with_suffix(".png")),
                "svg": str(Path(curve).with_suffix(".svg")),
            }
        )
    return found
