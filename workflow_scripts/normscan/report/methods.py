"""A protocol's methods in sentences, from its settings; ``{key}`` stands for a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from normscan.figures.labels import rule_label
from normscan.report.leaderboard import postprocessing_text
from normscan.report.numbers import count, listing
from normscan.report.preprocessing import preprocessing
from normscan.report.settings import literal, setting, settings

MODELS = {
    "ae": "autoencoder {baur2018}",
    "vae": "variational autoencoder {kingma2014}",
    "gmvae": "Gaussian mixture variational autoencoder {dilokthanakul2016}",
    "context_ae": "context-encoding autoencoder {zimmerer2018}",
    "context_vae": "context-encoding variational autoencoder {zimmerer2018}",
    "constrained_ae": "constrained autoencoder {chen2018}",
    "constrained_aae": "constrained adversarial autoencoder {chen2018} {gulrajani2017}",
    "fanogan": "f-AnoGAN {schlegl2019} {gulrajani2017}",
    "anovaegan": "AnoVAEGAN {baur2018} {gulrajani2017}",
}
NETWORKS = {
    "unified": "baur2021",
    "baur2018": "baur2018",
    "chen2018": "chen2018",
    "schlegl2019": "schlegl2019",
    "you2019": "you2019",
    "zimmerer2019": "zimmerer2018",
}
DETECTORS = {
    "reconstruction": "the residual of the reconstruction {baur2021}",
    "restoration": "the residual of an image restoration under the model's prior {you2019}",
    "proximal_restoration": (
        "the residual of an image restoration under the model's prior {you2019}, solved by "
        "proximal gradient descent {beck2009}"
    ),
    "gradient": "the residual weighted by the gradient of the evidence lower bound {zimmerer2018}",
    "montecarlo": "the mean residual of Monte Carlo reconstructions {pawlowski2018} {gal2016}",
    "intensity": "the training-free intensity baseline {meissen2021}",
}

Values = Mapping[str, Any]


def methods(recipe: Values, cohorts: Values, seeds: Sequence[int]) -> str:
    """What a protocol did to scans.

    Parameters
    ----------
    recipe : as ``workflow.recipes.recipe`` gives it.
    cohorts : name -> ``skull_stripped``, ``space``, of the cohorts that went through it.
    seeds : of the trainings.
    """
    said = [
        f"The contrasts were {listing(recipe['contrasts'])}."
        if len(recipe["contrasts"]) > 1
        else f"The contrast was {recipe['contrasts'][0]}.",
        preprocessing(recipe["steps"], cohorts),
        f"Models and detectors saw axial slices ({settings(recipe['slices'])}).",
        _models(recipe["models"], recipe["shares"], seeds),
        _detectors(recipe["approaches"]),
        f"Post-processing, the same for all approaches: {_post(recipe)}.",
        f"Operating points: {listing(rule_label(rule) for rule in recipe['rules'])}; detections "
        "were made at the first that could be found.",
    ]
    return " ".join(filter(None, said))


def _post(recipe: Values) -> str:
    return postprocessing_text(recipe["postprocessing"]) or "none"


def _models(models: Mapping[str, Values], shares: Sequence[float], seeds: Sequence[int]) -> str:
    if not models:
        return "No model was trained."
    shared = _shared(list(models.values()))
    parts = []
    for name, model in models.items():
        own = {key: value for key, value in model.items() if key not in shared}
        parts.append(_with(f"'{literal(name)}', {_family(model)}", _model_settings(own)))
    text = f"Trained on scans of healthy subjects only: {'; '.join(parts)}."
    if shared:
        text += f" All of them: {_model_settings(shared)}."
    parts = [f"{share:g} %" for share in shares]
    if list(shares) != [100]:
        text += f" Each was trained on {listing(parts)} of the training subjects."
    return text + f" Each was trained with {count(len(seeds), 'seed')}."


def _family(model: Values) -> str:
    return MODELS.get(model["family"]) or f"of family '{literal(model['family'])}'"


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


def _model_settings(values: Values) -> str:
    """Settings in words, the network with its reference."""
    parts = []
    for key, value in values.items():
        if key != "family" and value is not None:
            source = NETWORKS.get(value, "") if key == "network" else ""
            parts.append(literal(setting(key, value)) + (f" {{{source}}}" if source else ""))
    return ", ".join(parts)


def _detectors(approaches: Iterable[Values]) -> str:
    by_detector: dict[str, list[Values]] = {}
    for one in approaches:
        by_detector.setdefault(one["detector"], []).append(one)
    parts = [_with_one_detector(name, users) for name, users in by_detector.items()]
    return f"Anomaly maps were {'; '.join(parts)}."


def _with_one_detector(name: str, approaches: Sequence[Values]) -> str:
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
    return f"{_with(_detector(name), same)}: {', '.join(titles)}"


def _detector(name: str) -> str:
    return DETECTORS.get(name) or f"the detector '{literal(name)}'"


def _with(text: str, facts: str) -> str:
    return f"{text} ({facts})" if facts else text
