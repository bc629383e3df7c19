"""Text for a methods section: what was run, in words, with references."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscan.files import read_json
from normscan.report.numbers import listing

REFERENCES = Path(__file__).parent / "citations" / "references.json"

# {key} is replaced by the number of the reference.
MODELS = {
    "ae": "dense autoencoders {baur2018}",
    "vae": "variational autoencoders {kingma2014}",
    "gmvae": "Gaussian mixture variational autoencoders {dilokthanakul2016}",
    "context_ae": "context-encoding autoencoders {zimmerer2018}",
    "context_vae": "context-encoding variational autoencoders {zimmerer2018}",
    "constrained_ae": "constrained autoencoders {chen2018}",
    "constrained_aae": "constrained adversarial autoencoders {chen2018} {gulrajani2017}",
    "fanogan": "f-AnoGAN {schlegl2019} {gulrajani2017}",
    "anovaegan": "AnoVAEGAN {baur2018} {gulrajani2017}",
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
SOFTWARE = (
    "The workflow ran on Snakemake {molder2021}, with PyTorch {paszke2019} and NumPy {harris2020}."
)


def citation(
    *,
    steps: Sequence[Mapping[str, Any]],
    models: Iterable[str],
    detectors: Iterable[str],
    protocols: Iterable[str] = (),
    simulated: bool = False,
) -> dict[str, Any]:
    """Methods text and reference list of what was run.

    Parameters
    ----------
    steps : preprocessing in order; each ``{"step": name, setting: value, ...}`` or
        ``{name: {setting: value}}`` as in a protocol. Repeated steps (several protocols) are
        mentioned once.
    models : model families. detectors : names of detectors.
    protocols : names or citation keys of the protocols (``baur2021``).
    simulated : whether simulated cohorts took part.

    Returns
    -------
    {"text": paragraphs with [numbers], "references": [{"key", "text", "url"}] in that order}.
    A model, step or protocol without a known reference is named and not cited.
    """
    sentences = [_preprocessing(steps), _methods(models, detectors), _protocols(protocols)]
    if simulated:
        sentences.append(
            "Cohorts marked as simulated were generated from the ICBM 152 tissue maps {fonov2011}."
        )
    sentences.append(SOFTWARE)
    return _numbered(" ".join(filter(None, sentences)))


def _preprocessing(steps: Sequence[Mapping[str, Any]]) -> str:
    parts = list(dict.fromkeys(_step(*_named(step)) for step in steps))
    if not parts:
        return "Scans were used as they came."
    return f"Scans were preprocessed in this order: {'; '.join(parts)}."


def _named(step: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if "step" in step:
        return step["step"], {key: value for key, value in step.items() if key != "step"}
    ((name, settings),) = step.items()
    return name, settings or {}


def _register(settings: Mapping[str, Any]) -> str:
    transform = str(settings.get("transform") or "affine").lower()
    method = {"syn": "diffeomorphic (SyN) {avants2008}"}.get(transform, transform)
    atlas = str(settings.get("atlas") or "")
    name = {
        "sri24": "the SRI24 atlas {rohlfing2010}",
        "robex": "the atlas that comes with ROBEX {iglesias2011}",
        "icbm152": "the ICBM 152 template {fonov2011}",
        "mni": "the ICBM 152 template {fonov2011}",
    }.get(atlas.lower(), f"the atlas '{_literal(atlas)}'" if atlas else "an atlas")
    return f"{method} registration to {name} with ANTs {{avants2011}} {{tustison2021}}"


def _strip_skull(settings: Mapping[str, Any]) -> str:
    method = str(settings.get("method") or "robex").lower()
    return {
        "robex": "skull stripping with ROBEX {iglesias2011}",
        "mask": "skull stripping with the given brain masks",
        "atlas": "skull stripping with the atlas's brain mask",
    }.get(method, f"skull stripping ({_literal(method)})")


def _denoise(settings: Mapping[str, Any]) -> str:
    method = str(settings.get("method") or "curvature_flow").lower()
    if "curvature" in method:
        return "denoising by curvature flow {sethian1999} with SimpleITK {lowekamp2013}"
    return f"denoising ({_literal(method)})"


def _normalise(settings: Mapping[str, Any]) -> str:
    method = str(settings.get("method") or "percentile").lower()
    if method == "percentile":
        return f"division by the scan's {settings.get('percentile', 98):g}th intensity percentile"
    names = {"z_score": "z-scores", "zscore": "z-scores", "min_max": "range", "minmax": "range"}
    return f"normalisation of intensities by {names.get(method, _literal(method))}"


STEPS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "register": _register,
    "strip_skull": _strip_skull,
    "correct_bias": lambda settings: "bias field correction with N4 {tustison2010}",
    "denoise": _denoise,
    "normalise": _normalise,
    "match_histogram": lambda settings: "histogram matching to a reference {nyul2000}",
}


def _step(name: str, settings: Mapping[str, Any]) -> str:
    return STEPS[name](settings) if name in STEPS else _literal(name.replace("_", " "))


def _methods(models: Iterable[str], detectors: Iterable[str]) -> str:
    models = [_literal_unless(MODELS, name, "the model") for name in dict.fromkeys(models)]
    detectors = [
        _literal_unless(DETECTORS, name, "the detector") for name in dict.fromkeys(detectors)
    ]
    said = []
    if models:
        said.append(f"Trained on scans of healthy subjects only were {listing(models)}.")
    if detectors:
        said.append(f"Anomaly maps were computed as {listing(detectors)}.")
    return " ".join(said)


def _protocols(protocols: Iterable[str]) -> str:
    known = read_json(REFERENCES)
    named = []
    for name in dict.fromkeys(protocols):
        key = next((key for key in known if str(name).lower().startswith(key)), "")
        named.append(f"'{_literal(str(name))}'" + (f" {{{key}}}" if key else ""))
    if not named:
        return ""
    word = "protocol" if len(named) == 1 else "protocols"
    return f"Post-processing, operating points and metrics follow the {word} {listing(named)}."


def _literal_unless(table: Mapping[str, str], name: str, kind: str) -> str:
    return table.get(name) or f"{kind} '{_literal(name)}'"


def _literal(text: str) -> str:
    """Braces of a user's text are no reference."""
    return text.replace("{", "(").replace("}", ")")


def _numbered(text: str) -> dict[str, Any]:
    known = read_json(REFERENCES)
    order: list[str] = []

    def place(match: re.Match) -> str:
        if match[1] not in order:
            order.append(match[1])
        return f"[{order.index(match[1]) + 1}]"

    text = re.sub(r"\{(\w+)\}", place, text)
    return {"text": text, "references": [{"key": key, "url": "", **known[key]} for key in order]}
