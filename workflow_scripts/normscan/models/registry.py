"""Which model families there are, read from their files without importing them; building models."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from normscan.errors import ConfigError
from normscan.networks import registry as networks
from normscan.plugins import literals, plugin_names, require_known
from normscan.streams import MAIN, PSEUDO

if TYPE_CHECKING:
    from normscan.models.base import BaseModel
    from normscan.slices.batch import SliceShape

FOLDER = Path(__file__).resolve().parent
# Of settings that several families have; a family's own words come first.
MEANING = {
    "network": "network that its parts are of",
    "bottleneck": "form of the code: one vector of a slice, or a map",
    "latent": "numbers of a code; of a map, at each place",
    "dropout": "rate at which entries of a code are dropped in training; null: the network's usual "
    "one",
    "depth": "how often the network halves the side of a slice",
    "width": "feature maps at full size; twice as many at every halving",
    "kl_weight": "weight of the divergence of codes from their prior; the reconstruction's is 1",
    "likelihood": "of the reconstruction: l1, absolute errors; gaussian, whose deviation the "
    "decoder predicts",
    "gan_steps": "batches that generator and critic are trained on [batches]",
    "critic_steps": "steps of the critic for each step of the generator",
    "penalty_weight": "weight of the critic's gradient penalty",
    "weight_decay": "of the optimiser",
    "components": "Gaussians of the mixture",
    "learning_rate": "step size of the optimiser",
    "batch_size": "slices of a batch, in training or when it is fitted [slices]",
    "max_epochs": "training ends after so many, at the latest [epochs]",
    "patience": "training ends after so many without a better loss on held-out slices; the best "
    "weights are kept [epochs]",
    "precision": "of numbers in training; auto: half precision on a GPU, 32 bits elsewhere",
}


def families() -> list[str]:
    """Names of the model families: the files of this room that declare ``CAPABILITIES``."""
    return plugin_names(FOLDER, "CAPABILITIES")


def describe(family: str) -> dict[str, Any]:
    """What a family says of itself, see :mod:`normscan.models.base`.

    Returns
    -------
    description : ``capabilities`` (set of words), ``by_dropout`` (those that only a bottleneck
        with dropout gives), ``settings`` (name -> default), ``streams`` (tuple, first the one that
        leads), ``layers`` (set), ``stream_layers`` (those of each stream), ``uses`` (role -> set of
        capabilities), ``taught`` (whether it learns from labels that another approach makes),
        ``translates`` (bool), ``least_contrasts`` (of its inputs), what its network must have:
        ``parts`` (set), ``needs_dense`` and ``needs_spatial`` (bool), and ``cost`` (time against
        that of the usual family).

    Raises
    ------
    ConfigError : there is no such family; the nearest is named.
    """
    require_known(family, families(), "model family", "family")
    found = literals(FOLDER / f"{family}.py")
    streams, layers = tuple(found.get("STREAMS", (MAIN,))), found.get("LAYERS", ())
    if not isinstance(layers, dict):
        layers = dict.fromkeys(streams, layers)
    by_stream = {stream: set(layers.get(stream, ())) for stream in streams}
    every = set().union(*by_stream.values())
    return {
        "capabilities": set(found["CAPABILITIES"]),
        "by_dropout": set(found.get("BY_DROPOUT", ())),
        "settings": dict(found["SETTINGS"]),
        "streams": streams,
        "layers": every,
        "stream_layers": by_stream,
        "taught": PSEUDO in every,
        "uses": {role: set(needs) for role, needs in found.get("USES", {}).items()},
        "translates": bool(found.get("TRANSLATES", False)),
        "least_contrasts": int(found.get("LEAST_CONTRASTS", 1)),
        "parts": set(found.get("PARTS", ())),
        "needs_dense": bool(found.get("NEEDS_DENSE", False)),
        "needs_spatial": bool(found.get("NEEDS_SPATIAL", False)),
        "cost": float(found.get("COST", 1.0)),
    }


def ranges(family: str) -> dict[str, Any]:
    """Words and ranges of a family's settings, as of :mod:`normscan.allowed`."""
    return dict(literals(FOLDER / f"{family}.py").get("ALLOWED", {}))


def capabilities(family: str, settings: dict[str, Any]) -> set[str]:
    """What a family can do on the network that its complete settings name."""
    described = describe(family)
    without = described["by_dropout"] if no_dropout(settings, "") else set()
    return described["capabilities"] - without


def no_dropout(settings: dict[str, Any], where: str) -> str:
    """Why models of these settings drop nothing in their bottleneck; empty when they do.

    Parameters
    ----------
    settings : complete settings of a family; a network that is not there is another problem.
    where : the configuration key of the model.
    """
    network, bottleneck = settings.get("network"), settings.get("bottleneck")
    if network not in networks.names():
        return ""
    if bottleneck not in networks.describe(network)["dropout"]:
        return f"{where}.bottleneck '{bottleneck}' of network {network} has no dropout"
    return f"{where}.dropout is 0" if settings.get("dropout") == 0 else ""


def network_problems(family: str, settings: dict[str, Any], where: str) -> list[str]:
    """Why a family cannot be built on the network that its settings name; empty when it can.

    Parameters
    ----------
    settings : complete settings of the family.
    where : the configuration key that problems are reported under.
    """
    if "network" not in settings:
        return []
    network = settings["network"]
    try:
        has, needs = networks.describe(network), describe(family)
    except ConfigError as error:
        return [f"{where}.{error}"]
    problems = []
    if lacking := needs["parts"] - has["parts"]:
        problems.append(
            f"{where}.network: found '{network}', which has no {_list(lacking)}; family {family} "
            f"needs one of: {', '.join(networks.having(needs['parts'])) or 'none there is'}"
        )
    if "bottleneck" not in settings:
        return problems
    bottleneck = settings["bottleneck"]
    if bottleneck not in has["bottlenecks"]:
        allowed = ", ".join(has["bottlenecks"])
        problems.append(
            f"{where}.bottleneck: found '{bottleneck}'; network {network} has: {allowed}"
        )
    for form in ("dense", "spatial"):
        if needs[f"needs_{form}"] and bottleneck != form:
            problems.append(
                f"{where}.bottleneck: found '{bottleneck}'; family {family} needs: {form}"
            )
    try:
        networks.dropout_rate(network, bottleneck, settings.get("dropout"))
    except ConfigError as error:
        problems.append(f"{where}.{error}")
    return problems


def load(family: str) -> ModuleType:
    """The module of a family."""
    require_known(family, families(), "model family", "family")
    return importlib.import_module(f"normscan.models.{family}")


def build(
    family: str,
    shape: SliceShape | tuple[int, ...],
    *,
    seed: int = 0,
    uses: Mapping[str, BaseModel] | None = None,
    **settings: Any,
) -> BaseModel:
    """A new model; equal arguments give equal weights.

    Parameters
    ----------
    shape : channels of inputs and of targets, side of the slices; neighbours, if there are any.
    uses : trained models by role, as the family's ``USES`` asks for.
    settings : over the family's defaults; those of the training loop are left aside.

    Raises
    ------
    ConfigError : a setting that is not known, or impossible together with the others; a role
        without a model; targets that are not the inputs, of a family that does not translate; too
        few contrasts.
    """
    from normscan.compute.devices import seeded
    from normscan.models.base import TRAINING
    from normscan.slices.batch import SliceShape

    described, shape = describe(family), SliceShape(*shape)
    for name in settings:
        require_known(name, described["settings"], f"setting of family {family}", name)
    if missing := set(described["uses"]) - set(uses or {}):
        raise ConfigError(f"uses: family {family} needs a model for {_list(missing)}")
    if shape.inputs != shape.targets and not described["translates"]:
        raise ConfigError(f"targets: family {family} reconstructs its inputs and nothing else")
    if shape.inputs < (least := described["least_contrasts"]):
        raise ConfigError(
            f"inputs: found {shape.inputs} contrast(s); family {family} needs at least {least}"
        )
    chosen = {**described["settings"], **settings}
    own = {name: value for name, value in chosen.items() if name not in TRAINING}
    used = {"uses": uses} if described["uses"] else {}
    with seeded(seed):
        return load(family).Model(shape, **own, **used)


def _list(words: set[str]) -> str:
    return ", ".join(sorted(words))
