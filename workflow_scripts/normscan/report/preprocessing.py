"""Preprocessing in a sentence, from the steps' settings and what cohorts came as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from normscan.report.numbers import listing
from normscan.report.settings import literal
from normscan.report.settings import settings as listed

Values = Mapping[str, Any]


def preprocessing(steps: Sequence[Values], cohorts: Values) -> str:
    """One sentence; steps ``{"step": name, setting: value, ...}`` in order.

    Parameters
    ----------
    cohorts : name -> ``skull_stripped`` (bool), ``space`` (atlas, "" for native space).
    """
    if not steps:
        return "Scans were used as they came."
    parts = [_step(step) + _spared(step, cohorts) for step in steps]
    return f"Scans were preprocessed in this order: {'; '.join(parts)}."


def _step(step: Values) -> str:
    name = step["step"]
    settings = {key: value for key, value in step.items() if key != "step"}
    if name in STEPS:
        return STEPS[name](settings)
    return literal(" ".join(filter(None, [name.replace("_", " "), _in_brackets(settings)])))


def _spared(step: Values, cohorts: Values) -> str:
    """Which cohorts a step did not touch, since they came that way."""
    if step["step"] in ("strip_skull", "find_body"):
        names = [name for name, one in cohorts.items() if one.get("skull_stripped")]
        reason = "came skull-stripped"
    elif step["step"] == "register":
        atlas = str(step.get("atlas"))
        names = [name for name, one in cohorts.items() if one.get("space") == atlas]
        reason = "came in that space and were only resampled"
    else:
        return ""
    return f" (not of {literal(listing(names))}, which {reason})" if names else ""


def _register(settings: Values) -> str:
    transform = str(settings.get("transform", "affine"))
    method = {"syn": "diffeomorphic (SyN) {avants2008}"}.get(transform, literal(transform))
    atlas = str(settings.get("atlas", ""))
    name = {
        "sri24": "the SRI24 atlas {rohlfing2010}",
        "robex": "the atlas that comes with ROBEX {iglesias2011}",
        "icbm152": "the ICBM 152 template {fonov2011}",
    }.get(atlas, f"the atlas '{literal(atlas)}'")
    rest = {key: value for key, value in settings.items() if key not in ("transform", "atlas")}
    return f"{method} registration to {name} with ANTs {{avants2011}} {{tustison2021}}" + _more(
        rest
    )


def _strip_skull(settings: Values) -> str:
    method = str(settings.get("method", "robex"))
    return {
        "robex": "skull stripping with ROBEX {iglesias2011}" + _more(_without(settings, "method")),
        "given": "skull stripping with the given brain masks",
        "atlas": "skull stripping with the atlas's brain mask",
    }.get(method, f"skull stripping ({literal(method)})")


def _denoise(settings: Values) -> str:
    method = str(settings.get("method", "curvature"))
    if method == "curvature":
        how = "denoising by curvature flow {sethian1999} with SimpleITK {lowekamp2013}"
        return how + _more(_without(settings, "method"))
    return f"denoising ({literal(method)})"


def _normalise(settings: Values) -> str:
    return literal(f"normalisation of intensities: {scale_text(settings)}") + _cites(settings)


def _cites(settings: Values) -> str:
    return " {nyul2000}" if settings.get("method") == "nyul" else ""


def scale_text(settings: Values) -> str:
    """The scale of intensities that settings of ``normalise`` give, in words."""
    method = str(settings.get("method", "percentile"))
    level = settings.get("level", 1.0)
    at = "" if level == 1 else f", which becomes {level:g}"
    if method == "percentile":
        ceiling = settings.get("ceiling")
        cut = f", at most {ceiling:g}" if ceiling is not None else ""
        return f"divided by the {settings.get('percentile', 98):g}th percentile of the brain" + cut
    return {
        "zscore": "z-scores of the brain",
        "minmax": "the brain's minimum to 0 and its maximum to 1",
        "white_matter_peak": "the brain's minimum, peak of white matter and maximum to 0, 0.5 "
        "and 1",
        "median": f"divided by the brain's median{at}, bright lesions set aside",
        "tissue_peak": f"divided by the intensity of white matter{at}",
        "nyul": f"piecewise linear to fixed landmarks up to the median{at}",
    }.get(method, method)


def scale_of(steps: Sequence[Values]) -> str:
    """The scale that all approaches of a protocol see, from its steps; in words."""
    said = []
    for step in steps:
        if step["step"] == "normalise":
            said = [scale_text(step)]
        elif step["step"] == "match_histogram":
            said.append("histograms matched to a reference")
    return ", then ".join(said) or "as the scans came"


def _segment_tissue(settings: Values) -> str:
    """What the map is for is said; its reference is one of the layer's alone."""
    layer = settings.get("output") == "layer"
    use = "handed to models beside the images" if layer else "taken in place of the images"
    rest = _without(settings, "output", *([] if layer else ["reference"]))
    return f"segmentation of three tissues with Atropos {{atropos2011}}, {use}" + _more(rest)


STEPS: dict[str, Callable[[Values], str]] = {
    "register": _register,
    "strip_skull": _strip_skull,
    "find_body": lambda s: "no skull stripping: the body took the place of the brain" + _more(s),
    "correct_bias": lambda s: "bias field correction with N4 {tustison2010}" + _more(s),
    "denoise": _denoise,
    "normalise": _normalise,
    "segment_tissue": _segment_tissue,
    "match_histogram": lambda s: "histogram matching to a reference {nyul2000}" + _more(s),
}


def _without(settings: Values, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in keys}


def _more(settings: Values) -> str:
    return literal(f" {_in_brackets(settings)}".rstrip())


def _in_brackets(settings: Values) -> str:
    text = listed(settings)
    return f"({text})" if text else ""
