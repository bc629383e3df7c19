"""Fused approaches: checked, and in the plan."""

import copy
import re
from types import SimpleNamespace

import pytest
from made_studies import load, plan, protocol

from normscan import layout
from normscan.errors import ConfigError
from normscan.workflow.protocol_fused import FUSION, weights_of
from normscan.workflow.protocols import parse_protocol

SVDD = {"svdd": {"family": "deep_svdd"}}
SLICES = {"svdd": {"model": "svdd", "detector": "slice_score"}}


def fused(entry: dict | None = None, **changes) -> dict:
    """A protocol whose first approach is fused of two that follow."""
    entry = {"fuse": ["intensity", "vae"], **(entry or {})}
    content = copy.deepcopy(protocol(**changes))
    content["approaches"] = {"both": entry, **content["approaches"]}
    return content


def problems(content: dict) -> list[str]:
    return parse_protocol("p", content)[1]


def test_a_fused_approach_stands_where_the_protocol_has_it():
    parsed, found = parse_protocol("p", fused())
    assert parsed is not None and found == []
    assert list(parsed.approaches) == ["both", "intensity", "vae", "ae"]
    both = parsed.approaches["both"]
    assert both.models == ("vae",) and both.title == "both"
    assert weights_of(both) == {"intensity": 0.5, "vae": 0.5}
    assert set(parsed.models_used()) == {"vae", "ae"}


def test_weights_are_shares():
    parsed, _ = parse_protocol("p", fused({"weights": {"vae": 3, "intensity": 1}}))
    assert weights_of(parsed.approaches["both"]) == {"intensity": 0.25, "vae": 0.75}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"fuse": ["intensity", "vea"]}, "fuse: found 'vea' (did you mean 'vae'?)"),
        ({"fuse": ["both", "vae"]}, "fuse: 'both' is fused itself"),
        ({"fuse": ["svdd"]}, "fuse: 'svdd' scores whole slices"),
        ({"fuse": []}, "fuse: is empty; at least 1 is needed"),
        ({"fuse": ["vae", "vae"]}, "entries must differ"),
        ({"model": "vae"}, "both.model: unknown key"),
        ({"detector": "intensity"}, "both.detector: unknown key"),
        ({"seeds": "each"}, "both.seeds: found 'each'"),
        ({"tail": 0.7}, "both.tail: found 0.7"),
        ({"least_scans": 0}, "both.least_scans: found 0"),
        ({"weights": {"vae": 1}}, "both.weights.intensity: is missing"),
        ({"weights": {"vae": 1, "intensity": 1, "ae": 1}}, "both.weights.ae: unknown key"),
        ({"weights": {"vae": 0, "intensity": 1}}, "both.weights.vae: found 0; must be a number"),
        ({"combine": "product"}, "both.combine: found 'product'"),
        (
            {"combine": "minimum", "weights": {"vae": 1, "intensity": 1}},
            "both.weights: have no part in a minimum",
        ),
        ({"weights": "best"}, "both.weights: found 'best'; must be 'equal' or a number"),
    ],
)
def test_what_is_wrong_with_one_is_named_in_one_line(entry, expected):
    found = problems(fused(entry, models=SVDD, approaches=SLICES))
    assert len(found) == 1 and expected in found[0], found
    assert "\n" not in found[0]


def test_an_approach_without_detector_and_without_parts_is_named():
    content = protocol(approaches={"nothing": {"model": "vae"}})
    assert any("nothing: key 'detector' is missing" in line for line in problems(content))


def test_nothing_learns_from_a_fused_approach():
    rule = "healthy_percentile_98"
    student = {"student": {"family": "self_taught", "labels": {"approach": "both", "rule": rule}}}
    content = fused(
        models=student,
        approaches={"student": {"model": "student", "detector": "segmentation"}},
        training={"streams": {"unlabelled": {"cohorts": ["gliomas"]}}},
    )
    (line,) = problems(content)
    assert "'both' is fused of others" in line and "intensity, vae" in line


def test_it_needs_healthy_scans(tmp_path):
    content = fused({"fuse": ["intensity"]}, models={}, approaches={})
    content["approaches"] = {name: content["approaches"][name] for name in ("both", "intensity")}
    with pytest.raises(ConfigError, match="both.fuse: there is no cohort of role 'healthy'"):
        load(tmp_path, content, cohorts=("ms",))


def shared(made, variant: str, **more) -> SimpleNamespace:
    where = {"protocol": "p0", "variant": variant, "prior": "none", "cohort": "ms", "shard": "00"}
    return SimpleNamespace(**where, **{"seed": 1, **more})


def test_parts_have_its_seed_and_its_share(tmp_path):
    content = fused(training={"shares": [50, 100]})
    made = plan(tmp_path, content, seeds=[1, 2])
    variants = {(job.variant, job.seed) for job in made.detection.jobs("p0")}
    assert {("both", 1), ("both", 2), ("both@50pct", 1), ("both@50pct", 2)} < variants
    w = shared(made, "both@50pct", seed=2)
    # The baseline has one seed and one share.
    assert made.fusing.parts(w) == [
        {"variant": "intensity", "seed": 1, "weight": 0.5},
        {"variant": "vae@50pct", "seed": 2, "weight": 0.5},
    ]
    fill = made.layout.fill
    assert made.fusing.filtered(w)[1] == fill(
        layout.FILTERED, protocol="p0", variant="vae@50pct", seed=2, prior="none", cohort="ms",
        shard="00",
    )  # fmt: skip
    assert made.fusing.healthy(w)[0] == fill(
        layout.HEALTHY_SCORES, protocol="p0", variant="intensity", seed=1, prior="none"
    )
    healthy = made.fusing.healthy_maps(shared(made, "intensity"))
    assert {layout.parse(layout.FILTERED, path)["cohort"] for path in healthy} == {"ixi", "oasis"}


def test_all_seeds_make_one_ensemble(tmp_path):
    made = plan(tmp_path, fused({"seeds": "all"}), seeds=[1, 2, 3, 4])
    jobs = [job for job in made.detection.jobs("p0") if job.variant == "both"]
    assert [job.seed for job in jobs] == [1]
    weights = [(one["seed"], one["weight"]) for one in made.fusing.parts(shared(made, "both"))]
    assert weights == [(1, 0.5), (1, 0.125), (2, 0.125), (3, 0.125), (4, 0.125)]


def test_every_variant_is_made_by_one_rule(tmp_path):
    made = plan(tmp_path, fused(), protocol(approaches={"both_2": {"detector": "intensity"}}))
    ours, others = made.fusing.variants(), made.fusing.other_variants()
    for variant, is_fused in (
        ("both", True), ("both@50pct", True), ("both_2", False), ("vae", False), ("bot", False)
    ):  # fmt: skip
        assert bool(re.fullmatch(f"({ours})/x", f"{variant}/x")) is is_fused, variant
        assert bool(re.fullmatch(f"({others})/x", f"{variant}/x")) is not is_fused, variant
    plain = plan(tmp_path, protocol()).fusing
    assert not re.fullmatch(f"({plain.variants()})/x", "vae/x")
    assert re.fullmatch(f"({plain.other_variants()})/x", "vae/x")


def test_it_is_evaluated_shown_bundled_and_screened_with(tmp_path):
    made = plan(tmp_path, fused())
    assert any("/both/" in path for path in made.scoring.tables())
    assert any("/both/" in path for path in made.screening.bundles())
    assert "both" in {job.variant for job in made.screening.jobs()}
    (record,) = [one for one in made.report.approaches("p0") if one["variant"] == "both"]
    assert not record["training_free"] and not record["baseline"] and not record["signed"]
    run = made.report.run_record()
    assert run["plugins"]["detectors"][FUSION]["title"].startswith("fused from")
    made = plan(tmp_path, fused(), screening={"approaches": ["p0/both"]})
    assert [job.variant for job in made.screening.jobs()] == ["both"]


def test_its_bundle_rests_on_those_of_its_parts(tmp_path):
    made = plan(tmp_path, fused(), seeds=[1, 2])
    w = SimpleNamespace(protocol="p0", variant="both", seed="2")
    found = made.screening.parts(w)
    where = [layout.parse(layout.EXPORTED, path) for path in found["part_bundles"]]
    assert [(one["variant"], one["seed"]) for one in where] == [("intensity", "1"), ("vae", "2")]
    priors = made.cohorts.priors("p0")
    healthy = [layout.parse(layout.HEALTHY_SCORES, path) for path in found["part_healthy"]]
    assert [(one["variant"], one["prior"]) for one in healthy] == [
        (variant, prior) for variant in ("intensity", "vae") for prior in priors
    ]
    assert made.screening.fused(SimpleNamespace(protocol="p0", variant="vae", seed="2")) == []


def test_one_that_is_fused_of_what_needs_no_model_is_free(tmp_path):
    made = plan(tmp_path, fused({"fuse": ["intensity"]}), seeds=[0, 1])
    assert [job.seed for job in made.detection.jobs("p0") if job.variant == "both"] == [0]
    (record,) = [one for one in made.report.approaches("p0") if one["variant"] == "both"]
    assert record["training_free"]
