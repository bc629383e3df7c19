"""A protocol's methods in sentences, from its settings; ``{key}`` stands for a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from normscan.figures.labels import rule_label
from normscan.report.leaderboard import postprocessing_text
from normscan.report.numbers import count, listing
from normscan.report.preprocessing import preprocessing
from normscan.report.settings import literal, setting, settings

Values = Mapping[str, Any]
# What augments training slices.
TORCHIO = ["perezgarcia2021"]


def methods(recipe: Values, cohorts: Values, seeds: Sequence[int], plugins: Values) -> str:
    """What a protocol did to scans.

    Parameters
    ----------
    recipe : as ``workflow.recipes.recipe`` gives it.
    cohorts : name -> ``skull_stripped``, ``space``, of the cohorts that went through it.
    seeds : of the trainings.
    plugins : ``models`` (families), ``networks``, ``detectors``: name -> ``title`` and ``cite``, as
        ``workflow.introductions`` gives it; those without a title are named.
    """
    said = [
        f"The contrasts were {listing(recipe['contrasts'])}."
        if len(recipe["contrasts"]) > 1
        else f"The contrast was {recipe['contrasts'][0]}.",
        preprocessing(recipe["steps"], cohorts),
        f"Models and detectors saw axial slices ({settings(recipe['slices'])}).",
        _models(recipe, seeds, plugins),
        _detectors(recipe["approaches"], plugins),
        f"Post-processing, the same for all approaches: {_post(recipe)}.",
        f"Operating points: {listing(rule_label(rule) for rule in recipe['rules'])}; detections "
        "were made at the first that could be found.",
        _fidelity(recipe.get("fidelity", "")),
    ]
    return " ".join(filter(None, said))


def _post(recipe: Values) -> str:
    return postprocessing_text(recipe["postprocessing"]) or "none"


def _fidelity(model: str) -> str:
    """How reconstructions were judged; empty where they were not."""
    if not model:
        return ""
    return (
        f"Reconstructions were judged by the model '{literal(model)}': the quality score is the "
        "entropy of its classes' probabilities on an input minus that on the reconstruction, "
        "summed over a slice, the overlap score the mean Dice of the classes in both."
    )


def _models(recipe: Values, seeds: Sequence[int], plugins: Values) -> str:
    models, shares = recipe["models"], recipe["shares"]
    if not models:
        return "No model was trained."
    shared = _shared(list(models.values()))
    parts = []
    for name, model in models.items():
        own = {key: value for key, value in model.items() if key not in shared}
        family = _called(model["family"], "of family", plugins["models"])
        parts.append(_with(f"'{literal(name)}', {family}", _model_settings(own, plugins)))
    text = f"{_trained_on(recipe.get('streams', {}))}: {'; '.join(parts)}."
    if shared:
        text += f" All of them: {_model_settings(shared, plugins)}."
    parts = [f"{share:g} %" for share in shares]
    if list(shares) != [100]:
        text += f" Each was trained on {listing(parts)} of the training subjects."
    return text + f" Each was trained with {count(len(seeds), 'seed')}."


def _trained_on(streams: Mapping[str, str]) -> str:
    """Whose scans: of healthy subjects, unless streams say otherwise."""
    if not streams:
        return "Trained on scans of healthy subjects only"
    named = [f"'{literal(name)}': {literal(what)}" for name, what in streams.items()]
    return (
        f"Trained on scans of healthy subjects, or where a family takes them on streams of its own "
        f"({listing(named)}; patients in their training split only)"
    )


def _called(name: str, kind: str, known: Values) -> str:
    """What a plug-in calls itself, with its references; its name where it says nothing."""
    words = known.get(name, {})
    return _cited(literal(words.get("title", "")) or f"{kind} '{literal(name)}'", words)


def _cited(text: str, words: Values) -> str:
    return " ".join([text, *(f"{{{key}}}" for key in words.get("cite", ()))])


def _shared(models: Sequence[Values]) -> dict[str, Any]:
    """Settings that all of several models have in common."""
    first, *rest = models
    if not rest:
        return {}
    return {
        key: value
        for key, value in first.items()
        if key != "family" and all(key in one and one[key] == value for one in rest)
    }


def _model_settings(values: Values, plugins: Values) -> str:
    """Settings in words, the network with its reference."""
    parts = []
    for key, value in values.items():
        if key != "family" and value is not None:
            words = plugins["networks"].get(value, {}) if key == "network" else {}
            words = {"cite": TORCHIO} if key == "augmentation" else words
            parts.append(_cited(literal(setting(key, value)), words))
    return ", ".join(parts)


def _detectors(approaches: Iterable[Values], plugins: Values) -> str:
    by_detector: dict[str, list[Values]] = {}
    for one in approaches:
        by_detector.setdefault(one["detector"], []).append(one)
    parts = [
        _with_one_detector(_called(name, "the detector", plugins["detectors"]), users)
        for name, users in by_detector.items()
    ]
    return f"Anomaly maps were {'; '.join(parts)}."


def _with_one_detector(detector: str, approaches: Sequence[Values]) -> str:
    # How many slices a device is given at once changes no map.
    texts = [
        literal(settings({k: v for k, v in one["settings"].items() if k != "batch_size"}))
        for one in approaches
    ]
    same = texts[0] if len(set(texts)) == 1 else ""
    titles = []
    for one, text in zip(approaches, texts):
        model = f"'{literal(one['model'])}'" if one["model"] else ""
        own = "" if same else text
        titles.append(_with(literal(one["title"]), "; ".join(filter(None, [model, own]))))
    return f"{_with(detector, same)}: {', '.join(titles)}"


def _with(text: str, facts: str) -> str:
    return f"{text} ({facts})" if facts else text
