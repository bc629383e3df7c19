"""Contrasts by name, and models and detectors that use other models: checked, and in the plan."""

import pytest
from made_studies import plan, protocol, say, wildcards

from normscan import layout
from normscan.errors import NormscanError
from normscan.workflow.plan import variant_parts
from normscan.workflow.protocol_models import uses_cycle
from normscan.workflow.protocols import parse_protocol

STUDENT = {"student": {"family": "constrained_ae", "uses": {"teacher": "vae"}}}
APPROACH = {"student": {"model": "student", "detector": "reconstruction"}}


def problems(**changes) -> str:
    return "\n".join(parse_protocol("p", protocol(**changes))[1])


@pytest.fixture
def teachers(monkeypatch):
    """Two families and a detector that use others."""
    say(monkeypatch, "models", "constrained_ae", USES={"teacher": {"elbo"}})
    say(monkeypatch, "models", "context_ae", USES={"teacher": set()})
    say(monkeypatch, "detectors", "gradient", USES={"other": {"reconstruct"}})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"inputs": ["FLARE"]}, "models.vae.inputs: found 'FLARE' (did you mean 'FLAIR'?)"),
        ({"targets": ["T1w"]}, "models.vae.targets: found T1w, and inputs T1w, FLAIR"),
        ({"neighbours": 1}, "models.vae.neighbours: found 1; must be 0"),
        ({"neighbours": -1}, "models.vae.neighbours: found -1; must be at least 0"),
        ({"inputs": []}, "models.vae.inputs: is empty"),
        ({"uses": {"teacher": "ae"}}, "models.vae.uses.teacher: unknown key"),
    ],
)
def test_wrong_contrasts_and_roles_are_named(entry, expected):
    assert expected in problems(models={"vae": {"family": "vae", **entry}})


def test_a_family_that_translates_has_other_targets_and_neighbours(tmp_path, monkeypatch):
    say(monkeypatch, "models", "vae", TRANSLATES=True)
    entry = {"family": "vae", "inputs": ["T1w"], "targets": ["FLAIR"], "neighbours": 2}
    made = plan(tmp_path, protocol(models={"vae": entry}))
    w = wildcards(made, training="ixi+oasis", model="vae")
    assert (made.training.inputs(w), made.training.targets(w)) == (["T1w"], ["FLAIR"])
    assert made.training.models["vae"].neighbours == 2
    w.model = "ae"
    assert made.training.inputs(w) == made.training.targets(w) == ["T1w", "FLAIR"]


def test_an_equal_choice_of_contrasts_on_both_sides_needs_no_translation():
    one = {"family": "vae", "inputs": ["FLAIR"], "targets": ["FLAIR"]}
    assert problems(models={"vae": one}) == ""


def test_uses_are_checked_all_at_once(teachers):
    models = {
        "a": {"family": "constrained_ae"},
        "b": {"family": "constrained_ae", "uses": {"teacher": "var"}},
        "c": {"family": "constrained_ae", "uses": {"teacher": "ae"}},
        "d": {"family": "constrained_ae", "uses": {"teacher": "vae", "techer": "vae"}},
    }
    text = problems(models=models, approaches={"g": {"model": "vae", "detector": "gradient"}})
    for expected in (
        "models.a.uses.teacher: is missing; name a model of this protocol that can elbo",
        "models.b.uses.teacher: found 'var' (did you mean 'vae'?)",
        "models.c.uses.teacher: model 'ae' (family 'ae') cannot elbo",
        "models.d.uses.techer: unknown key (did you mean 'teacher'?)",
        "approaches.g.uses.other: is missing",
    ):
        assert expected in text


def test_a_used_model_must_see_what_its_user_hands_on(teachers):
    seen = {"inputs": ["FLAIR"], "targets": ["FLAIR"]}
    student = {"family": "constrained_ae", "uses": {"teacher": "vae"}}
    text = problems(models={"student": {**student, **seen}})
    assert "models.student.inputs: found ['FLAIR'], but 'vae', which it uses as teacher" in text
    both = {"vae": {"family": "vae", **seen}, "student": {**student, **seen}}
    assert problems(models=both) == ""


def test_what_a_detector_uses_must_see_what_its_model_predicts(teachers):
    seen = {"inputs": ["FLAIR"], "targets": ["FLAIR"]}
    approach = {"g": {"model": "vae", "detector": "gradient", "uses": {"other": "ae"}}}
    models = {"vae": {"family": "vae"}, "ae": {"family": "ae", **seen}}
    text = problems(models=models, approaches=approach)
    assert "approaches.g.uses.other: model 'ae' sees FLAIR, but 'vae'" in text
    assert "predicts T1w, FLAIR" in text
    both = {"vae": {"family": "vae", **seen}, "ae": {"family": "ae", **seen}}
    assert problems(models=both, approaches=approach) == ""


def test_a_circle_of_uses_is_named(teachers):
    models = {
        "one": {"family": "context_ae", "uses": {"teacher": "two"}},
        "two": {"family": "context_ae", "uses": {"teacher": "three"}},
        "three": {"family": "context_ae", "uses": {"teacher": "one"}},
    }
    assert "one -> two -> three -> one" in problems(models=models)
    assert uses_cycle({"a": ["a"]}) == ["a", "a"]
    assert uses_cycle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_what_uses_a_model_waits_for_it_and_counts_its_code(tmp_path, teachers):
    models = {"second": {"family": "context_ae", "uses": {"teacher": "student"}}, **STUDENT}
    approaches = {
        "second": {"model": "second", "detector": "reconstruction"},
        "fused": {"model": "vae", "detector": "gradient", "uses": {"other": "second"}},
    }
    made = plan(tmp_path, protocol(models=models, approaches=approaches))
    w = wildcards(made, training="ixi+oasis", model="second")
    folder = f"results/models/{w.chain}/{w.pack}/ixi+oasis"
    assert made.training.used_by_model(w) == {
        "used_weights": [f"{folder}/student/seed-0/weights.safetensors"],
        "used_bundles": [f"{folder}/student/seed-0/bundle.json"],
    }
    families = [f"normscan.models.{name}" for name in ("context_ae", "constrained_ae", "vae")]
    assert [one for one in made.training.modules("second") if "models" in one] == families
    assert set(families) < set(made.detection.modules("fused"))
    w = wildcards(made, training="ixi+oasis", approach="fused")
    files = made.detection.model(w)
    assert files["weights"] == f"{folder}/vae/seed-0/weights.safetensors"
    assert files["used_bundles"] == [f"{folder}/second/seed-0/bundle.json"]
    assert made.detection.uses(w) == ["other"]
    w.protocol, w.variant = "p0", "fused"
    assert made.screening.parts(w)["used_weights"] == files["used_weights"]
    assert made.screening.approach_record(w)["uses"] == {"other": "second"}
    # The models that are used belong to the recipe.
    recipe = made.report.run_record()["protocols"]["p0"]["recipe"]
    assert recipe["models"]["student"]["uses"] == {"teacher": "vae"}


def test_the_set_of_what_uses_a_model_holds_the_streams_of_both(tmp_path, monkeypatch, teachers):
    say(monkeypatch, "models", "vae", STREAMS=("main", "patients"))
    streams = {"patients": {"cohorts": ["ms"], "slices": "lesion_free"}}
    made = plan(
        tmp_path,
        protocol(models=STUDENT, approaches=APPROACH, training={"streams": streams}),
    )
    label = made.training.label("p0", 100, ["student"])
    assert label == "ixi+oasis--patients-ms-lesion_free"
    w = wildcards(made, training=label, model="student")
    assert set(made.training.streams(w)) == {"main"}
    assert label in made.training.used_by_model(w)["used_bundles"][0]
    # A model that does not need the other stream stays where it is.
    assert "/ixi+oasis/ae/" in made.detection.model_file(layout.MODEL, "p0", "ae", 0)


def test_parts_that_a_network_lacks_are_named(monkeypatch):
    say(monkeypatch, "models", "vae", PARTS={"encoder", "decoder", "critic"})
    text = problems(models={"vae": {"family": "vae", "network": "chen2018"}})
    assert "models.vae.network: found 'chen2018', which has no critic" in text
    assert "unified" in text
    say(monkeypatch, "networks", "chen2018", PARTS={"encoder", "decoder", "critic"})
    assert problems(models={"vae": {"family": "vae", "network": "chen2018"}}) == ""


def test_what_scores_slices_only_screens_nothing(tmp_path, monkeypatch):
    say(monkeypatch, "detectors", "reconstruction", LEVELS={"slice"})
    made = plan(tmp_path, protocol())
    assert [job.variant for job in made.screening.jobs()] == ["intensity"]
    made.screening.study.screening["approaches"] = ["p0/vae"]
    with pytest.raises(NormscanError, match="'p0/vae' with maps; there are: p0/intensity"):
        made.screening.jobs()


def test_variants_are_read_back():
    assert variant_parts("vae@2.5pct") == ("vae", 2.5) and variant_parts("vae") == ("vae", 100)
