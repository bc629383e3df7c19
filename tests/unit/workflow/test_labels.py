"""Models that learn from what an approach detects: checked, and in the plan."""

import copy
from types import SimpleNamespace

import pytest
from made_studies import load, plan, protocol, say, wildcards

from normscan import layout
from normscan.errors import ConfigError
from normscan.workflow.protocols import parse_protocol

RULE = "healthy_percentile_98"
STREAM = {"unlabelled": {"cohorts": ["gliomas"]}}
STUDENT = {"student": {"family": "self_taught", "labels": {"approach": "vae", "rule": RULE}}}
APPROACH = {"student": {"model": "student", "detector": "segmentation"}}


def taught(labels=None, **changes) -> dict:
    """A protocol with a student of an approach."""
    given = {"models": STUDENT, "approaches": APPROACH, "training": {"streams": STREAM}, **changes}
    content = copy.deepcopy(protocol(**given))
    if labels is not None:
        content["models"]["student"]["labels"] = labels
    return content


def problems(content: dict) -> list[str]:
    return parse_protocol("p", content)[1]


def test_a_student_of_an_approach_is_no_problem():
    assert problems(taught()) == []


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"approach": "vea", "rule": RULE}, "labels.approach: found 'vea' (did you mean 'vae'?)"),
        ({"approach": "vae", "rule": "healthy"}, "labels.rule: found 'healthy' (did you mean"),
        (
            {"approach": "vae", "rule": "best_dice"},
            "labels.rule: 'best_dice' is chosen on labels of patients, which must not reach a "
            f"training without them; allowed: {RULE}, healthy_fpr_0.01, healthy_fpr_0.05",
        ),
        ({"approach": "student", "rule": RULE}, "their own detections: student -> student"),
        ({"approach": "vae"}, "labels: key 'rule' is missing"),
        ({"approach": "vae", "rule": RULE, "x": 1}, "labels.x: unknown key"),
        ({}, "labels: key 'approach' is missing"),
    ],
)
def test_wrong_labels_are_named_in_one_line_each(labels, expected):
    found = problems(taught(labels))
    assert any(expected in line for line in found), found
    assert all("\n" not in line for line in found) and len(found) == (2 if labels == {} else 1)


def test_labels_that_are_missing_or_for_nobody_are_named():
    content = taught()
    del content["models"]["student"]["labels"]
    (line,) = problems(content)
    assert "models.student.labels: is missing; family 'self_taught' learns" in line
    assert RULE in line and "best_dice" not in line
    content = taught(
        models={**STUDENT, "vae": {"family": "vae", "labels": STUDENT["student"]["labels"]}}
    )
    (line,) = problems(content)
    assert "models.vae.labels: family 'vae' does not learn from the detections" in line


def test_what_scores_slices_only_teaches_nobody(monkeypatch):
    say(monkeypatch, "detectors", "reconstruction", LEVELS={"slice"})
    assert any(
        "'vae' scores whole slices; labels need one with maps" in p for p in problems(taught())
    )


def test_a_circle_through_labels_and_uses_is_named(monkeypatch):
    say(monkeypatch, "detectors", "reconstruction", USES={"other": set()})
    content = taught()
    for name in ("vae", "ae"):
        content["approaches"][name]["uses"] = {"other": "student" if name == "vae" else "vae"}
    (line,) = problems(content)
    assert "learn from their own detections: student -> student" in line


def test_a_student_needs_its_streams():
    (line,) = problems(taught(training={"shares": [100]}))
    assert "is trained on the stream 'unlabelled' too" in line


def test_a_threshold_needs_healthy_scans(tmp_path):
    streams = {"streams": {"main": {"cohorts": ["ms"]}, **STREAM}}
    content = taught({"approach": "intensity", "rule": RULE}, training=streams)
    for name in ("vae", "ae"):
        del content["models"][name], content["approaches"][name]
    with pytest.raises(ConfigError, match="student.labels.rule: there is no cohort of role 'healt"):
        load(tmp_path, content, cohorts=("ms", "gliomas"))
    load(tmp_path, content, cohorts=("ms", "gliomas", "ixi"))


def test_the_same_student_in_two_protocols_is_refused(tmp_path):
    """Its teacher's detections are a protocol's: another one filters maps otherwise."""
    with pytest.raises(ConfigError, match="models.student: differs from the one of the same name"):
        load(tmp_path, taught(), taught())


def test_a_student_waits_for_the_labels_of_its_streams_shards(tmp_path):
    made = plan(tmp_path, taught(training={"streams": STREAM, "shares": [50]}), shard_size=4)
    training = made.training.label("p0", 50, ["student"])
    assert training == "ixi+oasis-50pct--unlabelled-gliomas"
    w = wildcards(made, training=training, model="student")
    folder = f"results/detections/p0/vae@50pct/seed-0/pseudo-{RULE}/gliomas"
    shards = list(made.cohorts.shards["gliomas"])
    assert len(shards) > 1
    assert made.teaching.labels(w) == {"labels": [f"{folder}/{one}.json" for one in shards]}
    w.model, w.training = "vae", made.training.label("p0", 50, ["vae"])
    assert made.teaching.labels(w) == {}
    # It is trained on that stream only; of the main one its teacher was.
    w.model, w.training = "student", training
    assert set(made.training.streams(w)) == {"unlabelled"}
    assert {path.split("/")[4] for path in made.training.packs(w)} == {"gliomas"}


def test_labels_are_of_the_same_seed_where_the_teacher_has_one(tmp_path):
    made = plan(tmp_path, taught(), seeds=[3, 4])
    w = wildcards(made, training=made.training.label("p0", 100, ["student"]), model="student")
    w.seed = 4
    assert "/vae/seed-4/" in made.teaching.labels(w)["labels"][0]
    free = taught({"approach": "intensity", "rule": RULE}, training={"shares": [50]})
    free["training"]["streams"] = STREAM
    made = plan(tmp_path, free, seeds=[3, 4])
    w.training = made.training.label("p0", 50, ["student"])
    assert "/intensity/seed-3/" in made.teaching.labels(w)["labels"][0]


def labelling(**more):
    where = {"protocol": "p0", "variant": "vae", "seed": 0, "cohort": "gliomas", "shard": "000"}
    return SimpleNamespace(**where, threshold_rule=RULE, **more)


def test_labels_are_made_of_the_maps_there_are_and_of_others_where_these_leave_scans_out(tmp_path):
    made = plan(tmp_path, taught())
    (path,) = made.teaching.maps(labelling())
    assert path.endswith("/ixi+oasis/vae/seed-0/gliomas/000.json")
    main = {"main": {"cohorts": ["gliomas"], "slices": "lesion_free"}, **STREAM}
    made = plan(tmp_path, taught(training={"streams": main}))
    maps = made.teaching.maps(labelling())
    assert [path.rpartition("/")[2] for path in maps] == ["000.json", "000-others.json"]


def test_thresholds_of_labels_come_from_healthy_scans_only(tmp_path):
    made = plan(tmp_path, taught(), changes={"gliomas": {"prior": "hyperintense"}})
    paths = made.teaching.healthy_histograms(labelling())
    assert {layout.parse(layout.HISTOGRAMS, path)["cohort"] for path in paths} == {"ixi", "oasis"}
    assert all("filtered-hyperintense" in path for path in paths)
    assert made.teaching.rule(labelling()) == {
        "kind": "healthy_percentile",
        "settings": {"percentile": 98.0},
    }


def test_who_teaches_belongs_to_the_recipe(tmp_path):
    made = plan(tmp_path, taught())
    recipe = made.report.run_record()["protocols"]["p0"]["recipe"]
    assert recipe["models"]["student"]["labels"] == f"vae at {RULE}"
