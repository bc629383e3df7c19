"""Training sets: named streams, their labels, and who may be in them."""

from types import SimpleNamespace

import pytest
from made_studies import load, plan, protocol, say, wildcards

from normscan import layout
from normscan.errors import ConfigError
from normscan.workflow.protocols import parse_protocol
from normscan.workflow.training_sets import Stream, TrainingSet, TrainingSets

PATIENTS = {"patients": {"cohorts": ["gliomas"], "slices": "lesion_free"}}


def test_labels_are_readable_and_a_plain_one_is_as_it_always_was():
    main = Stream(("camcan", "ixi"))
    assert TrainingSet({"main": main}).label == "camcan+ixi"
    assert TrainingSet({"main": main}, 10).label == "camcan+ixi-10pct"
    both = {"patients": Stream(("ms",), "lesion_free"), "main": Stream(("ixi",))}
    assert TrainingSet(both, 10).label == "ixi-10pct--patients-ms-lesion_free"
    assert TrainingSet({"main": Stream(("ms",), "lesion_free")}).label == "ms-lesion_free"


def test_two_sets_of_one_label_are_refused():
    sets = TrainingSets()
    one = TrainingSet({"main": Stream(("a-10pct",))})
    assert sets.add(one) == sets.add(one) == "a-10pct"
    with pytest.raises(ConfigError, match="share the label 'a-10pct'"):
        sets.add(TrainingSet({"main": Stream(("a",))}, 10))


def test_a_family_is_trained_on_the_streams_that_it_declares(tmp_path, monkeypatch):
    say(monkeypatch, "models", "vae", STREAMS=("main", "patients"))
    content = protocol(training={"streams": PATIENTS, "shares": [50]})
    made = plan(tmp_path, content)
    labels = {name: made.training.label("p0", 50, [name]) for name in ("ae", "vae")}
    assert labels == {
        "ae": "ixi+oasis-50pct",
        "vae": "ixi+oasis-50pct--patients-gliomas-lesion_free",
    }
    w = wildcards(made, training=labels["vae"], model="vae")
    assert made.training.streams(w) == {
        "main": {"cohorts": ["ixi", "oasis"], "slices": "all"},
        "patients": {"cohorts": ["gliomas"], "slices": "lesion_free"},
    }
    assert made.training.set_of(w).share == 50
    folders = {path.split("/")[4] for path in made.training.packs(w)}
    assert folders == {"ixi", "oasis", "gliomas"}
    assert [path.split("/")[2] for path in made.training.subjects(w)] == ["ixi", "oasis", "gliomas"]
    assert "50pct--patients" in made.detection.model_file(layout.MODEL, "p0", "vae@50pct", 0)
    assert made.training.streams(wildcards(made, training=labels["ae"], model="ae")) == {
        "main": {"cohorts": ["ixi", "oasis"], "slices": "all"}
    }


def test_a_stream_that_a_family_needs_and_a_protocol_lacks_is_refused(monkeypatch):
    say(monkeypatch, "models", "vae", STREAMS=("main", "patients"))
    _, problems = parse_protocol("p", protocol())
    assert problems == [
        "protocol 'p'.models.vae: family 'vae' is trained on the stream 'patients' too; name its "
        "cohorts in protocol 'p'.training.streams.patients"
    ]


def test_the_main_stream_may_be_of_patients_who_are_evaluated_too(tmp_path):
    main = {"main": {"cohorts": ["gliomas"], "slices": "lesion_free"}}
    made = plan(tmp_path, protocol(training={"streams": main}))
    assert made.training.label("p0", 100, ["vae"]) == "gliomas-lesion_free"
    assert made.cohorts.evaluated("p0") == ["gliomas", "ms"]
    # Operating points without labels come from all healthy cohorts then.
    assert made.cohorts.healthy("p0") == ["ixi", "oasis"]
    assert made.cohorts.study.training == {**dict.fromkeys(made.cohorts.roles, 0), "gliomas": 0.5}


def test_without_healthy_cohorts_lesion_free_slices_give_operating_points(tmp_path):
    content = protocol(training={"streams": {"main": {"cohorts": ["ms"], "slices": "lesion_free"}}})
    content["approaches"]["both"] = {"fuse": ["intensity", "vae"]}
    made = plan(tmp_path, content, cohorts=("ms", "gliomas"))
    assert made.cohorts.healthy("p0") == ["ms"]
    where = SimpleNamespace(protocol="p0", variant="vae", seed=0)
    assert made.scoring.healthy_histograms(where)
    record = made.report.run_record()["protocols"]["p0"]
    assert record["calibrated_on_patients"] == ["ms"]
    # A patient's volume above a threshold is no healthy scan's.
    assert made.cohorts.whole("p0") == [] and made.screening.healthy_packs(where) == []
    content["training"]["streams"]["main"]["slices"] = "all"
    with pytest.raises(ConfigError, match="nor lesion-free slices of patients"):
        plan(tmp_path, content, cohorts=("ms", "gliomas"))


def test_a_model_makes_no_maps_of_patients_that_it_was_trained_on(tmp_path):
    main = {"main": {"cohorts": ["gliomas"], "slices": "lesion_free"}}
    made = plan(tmp_path, protocol(), protocol(training={"streams": main}))

    def chosen(training, cohort):
        return made.detection.chosen(SimpleNamespace(training=training, cohort=cohort))

    assert chosen("gliomas-lesion_free", "gliomas")["subjects"].endswith("gliomas/subjects.tsv")
    assert chosen("gliomas-lesion_free", "ms") == {}
    # Maps of other models are as before: adding a protocol makes them no staler.
    assert chosen("ixi+oasis", "gliomas") == chosen("none", "gliomas") == {}
    assert chosen("none", "ixi") and chosen("ixi+oasis", "ixi")


def test_a_stream_may_be_of_all_cohorts_of_a_role(tmp_path, monkeypatch):
    say(monkeypatch, "models", "vae", STREAMS=("main", "labelled"))
    streams = {"labelled": {"role": "patients"}, "main": {"role": "healthy"}}
    made = plan(tmp_path, protocol(training={"streams": streams}))
    label = made.training.label("p0", 100, ["vae"])
    assert label == "ixi+oasis--labelled-gliomas+ms"
    assert made.training.label("p0", 100, ["ae"]) == "ixi+oasis"
    asked = {name for name, share in made.cohorts.study.training.items() if share}
    assert asked == {"gliomas", "ms"}
    assert made.cohorts.healthy("p0") == ["ixi", "oasis"]


def test_an_override_may_name_cohorts_in_place_of_a_role(tmp_path, monkeypatch):
    say(monkeypatch, "models", "vae", STREAMS=("main", "labelled"))
    streams = {"labelled": {"role": None, "cohorts": ["ms"]}}
    made = plan(tmp_path, protocol(training={"streams": streams}))
    assert made.training.label("p0", 100, ["vae"]) == "ixi+oasis--labelled-ms"


def test_patients_train_only_where_a_protocol_asks(tmp_path):
    assert set(load(tmp_path, protocol()).training.values()) == {0}
    asking = protocol(training={"streams": PATIENTS})
    study = load(tmp_path, protocol(), asking, split={"patients_training": 2})
    assert (study.training["gliomas"], study.training["ms"]) == (2, 0)
    study = load(tmp_path, asking, changes={"gliomas": {"training": 0.25}})
    assert study.training["gliomas"] == 0.25


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"cohorts": ["gliomas"]}, ["training.cohorts: 'gliomas'", "streams.main.cohorts"]),
        ({"streams": {"main": {"cohorts": ["new"]}}}, ["streams.main.cohorts: 'new'", "screened"]),
        ({"streams": {"more": {"cohorts": ["glioma"]}}}, ["streams.more.cohorts", "'gliomas'"]),
        ({"streams": {"more": {"slices": "all"}}}, ["streams.more.cohorts: is missing"]),
        (
            {"streams": {"more": {"role": "patients", "cohorts": ["ms"]}}},
            ["streams.more.role: stands beside 'cohorts'"],
        ),
        ({"streams": {"more": {"role": "patient"}}}, ["streams.more.role", "patients"]),
        ({"streams": {"more": {"slices": "free"}}}, ["streams.more.slices", "lesion_free"]),
        (
            {"cohorts": ["ixi"], "streams": {"main": {"cohorts": ["ixi"]}}},
            ["training.cohorts: stands beside training.streams.main"],
        ),
    ],
)
def test_wrong_streams_are_named(tmp_path, training, expected):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, protocol(training=training))
    assert all(part in str(error.value) for part in expected), str(error.value)


def test_too_few_patients_to_train_on_are_found_when_the_run_is_planned(tmp_path):
    asking = protocol(training={"streams": PATIENTS})
    with pytest.raises(ConfigError, match="cohorts.gliomas: 9 usable .* 6 training"):
        load(tmp_path, asking, changes={"gliomas": {"training": 6}})
