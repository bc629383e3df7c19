"""How a protocol differs from the recipe of the paper that it cites; computed, never written.

Both are values as ``workflow.recipes.recipe`` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normscan.figures.labels import rule_label
from normscan.report.numbers import listing
from normscan.report.settings import label, shown

Values = Mapping[str, Any]
# How many slices a device is given at once changes no map.
NO_MATTER = ("batch_size",)


def relation(protocol: Values) -> tuple[str, list[str]]:
    """How a protocol stands to what it cites: the end of a sentence, and all differences.

    Parameters
    ----------
    protocol : ``citation`` (key), ``recipe``, and ``reference``: None, or ``name`` and ``recipe``
        (None: its file was edited, so that nothing can be compared).

    Returns
    -------
    text, lines : ``{source}`` in the text stands for the publication; empty without citation.
    """
    if not protocol.get("citation"):
        return "", []
    known = protocol.get("reference")
    if not known:
        return (
            "cites {source}; there is no recipe of it here, so how far it follows is not said",
            [],
        )
    if not known["recipe"]:
        return (
            f"cites {{source}}; the file of its recipe '{known['name']}' is not as it was shipped, "
            "so how far it follows is not said",
            [],
        )
    lines = differences(protocol["recipe"], known["recipe"])
    name = f"the recipe '{known['name']}', made after {{source}}"
    if lines:
        return f"goes by {name}, with these differences", lines
    return f"is {name}; what the publication does not give is the recipe's own", []


def differences(run: Values, recipe: Values) -> list[str]:
    """What was done otherwise than in a recipe, one line for each part of it; empty: nothing."""
    return [
        *_values("contrasts", {"": run["contrasts"]}, {"": recipe["contrasts"]}),
        *_steps(run["steps"], recipe["steps"]),
        *_values("slices", run["slices"], recipe["slices"]),
        *_models(run["models"], recipe["models"]),
        *_approaches(run, recipe),
        *_values("training subjects (%)", {"": run["shares"]}, {"": recipe["shares"]}),
        *_values("post-processing", run["postprocessing"], recipe["postprocessing"]),
        *_rules(run["rules"], recipe["rules"]),
        *_values("judge of reconstructions", *map(_judge, (run, recipe))),
    ]


def _judge(recipe: Values) -> dict[str, str]:
    return {"": recipe.get("fidelity") or "none"}


def _values(what: str, run: Values, recipe: Values) -> list[str]:
    found = _unlike(run, recipe)
    return [f"{what}: {_listed(found)}"] if found else []


def _unlike(run: Values, recipe: Values) -> dict[str, tuple[Any, Any]]:
    """Setting -> (value, the recipe's) where they differ."""
    keys = [*run, *(key for key in recipe if key not in run)]
    pairs = {key: (run.get(key), recipe.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _listed(pairs: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(
        f"{label(key)} {shown(key, value)} (recipe: {shown(key, other)})".strip()
        for key, (value, other) in pairs.items()
    )


def _steps(run: Sequence[Values], recipe: Sequence[Values]) -> list[str]:
    mine, theirs = ({step["step"]: step for step in steps} for steps in (run, recipe))
    lines = [f"without the step {name}" for name in theirs if name not in mine]
    lines += [f"with the step {name}" for name in mine if name not in theirs]
    order = [name for name in mine if name in theirs]
    if order != [name for name in theirs if name in mine]:
        lines.append(f"order of steps: {listing(mine)} (recipe: {listing(theirs)})")
    for name in order:
        lines += _values(name, mine[name], theirs[name])
    return lines


def _models(run: Mapping[str, Values], recipe: Mapping[str, Values]) -> list[str]:
    """Differences of all models at once, then those of single ones."""
    unlike = {name: _nearest(model, recipe.values()) for name, model in run.items()}
    compared = {name: pairs for name, pairs in unlike.items() if pairs is not None}
    shared = _shared(list(compared.values())) if len(compared) > 1 else {}
    lines = [f"all models: {_listed(shared)}"] if shared else []
    for name, pairs in unlike.items():
        if pairs is None:
            lines.append(f"model {name}: the recipe has none of family {run[name]['family']}")
            continue
        own = {key: pair for key, pair in pairs.items() if key not in shared}
        lines += [f"model {name}: {_listed(own)}"] if own else []
    return lines


def _nearest(model: Values, others) -> dict[str, tuple[Any, Any]] | None:
    """Differences from the most similar model of the same family; None: there is none."""
    found = [_unlike(model, one) for one in others if one["family"] == model["family"]]
    return min(found, key=len) if found else None


def _shared(found: Sequence[Mapping[str, tuple]]) -> dict[str, tuple]:
    """Differences that are in every one."""
    first, *rest = found
    return {key: pair for key, pair in first.items() if all(one.get(key) == pair for one in rest)}


def _approaches(run: Values, recipe: Values) -> list[str]:
    lines, used = [], set()
    theirs = recipe["approaches"]
    for approach in run["approaches"]:
        number = _counterpart(approach, run["models"], theirs, recipe["models"])
        if number is None:
            lines.append(f"with the approach {approach['title']}, which the recipe has not")
            continue
        used.add(number)
        mine, other = approach["settings"], theirs[number]["settings"]
        pairs = {key: pair for key, pair in _unlike(mine, other).items() if key not in NO_MATTER}
        lines += [f"{approach['title']}: {_listed(pairs)}"] if pairs else []
    missing = [one["title"] for number, one in enumerate(theirs) if number not in used]
    if missing:
        lines.append(f"{len(missing)} of {len(theirs)} approaches not run: {listing(missing)}")
    return lines


def _counterpart(
    approach: Values, models: Values, others: Sequence[Values], other_models: Values
) -> int | None:
    """Number of the recipe's approach of the same kind: by its title, else by its settings."""
    found = []
    for number, other in enumerate(others):
        mine, its = models.get(approach["model"], {}), other_models.get(other["model"], {})
        if approach["detector"] == other["detector"] and mine.get("family") == its.get("family"):
            unlike = len(_unlike(mine, its)) + len(_unlike(approach["settings"], other["settings"]))
            found.append((approach["title"] != other["title"], unlike, number))
    return min(found)[-1] if found else None


def _rules(run: Sequence[str], recipe: Sequence[str]) -> list[str]:
    lines = []
    for word, mine, theirs in (("without", recipe, run), ("with", run, recipe)):
        names = [rule_label(rule) for rule in mine if rule not in theirs]
        lines += [f"operating points {word}: {listing(names)}"] if names else []
    if run[0] != recipe[0]:
        lines.append(f"detections at: {rule_label(run[0])} (recipe: {rule_label(recipe[0])})")
    return lines
