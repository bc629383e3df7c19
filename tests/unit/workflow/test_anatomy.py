"""Label maps of anatomy, and the model that judges reconstructions: checked at planning."""

import pytest
from made_studies import load, plan, protocol, wildcards

from normscan import layout
from normscan.errors import NormscanError
from normscan.workflow.protocols import parse_protocol

CLASSES = {"csf": 1, "grey_matter": [2, 12], "white_matter": 3}
SEEN = {"inputs": ["T1w"], "targets": ["T1w"]}
SEGMENTATION = {"family": "anatomy_segmentation", "classes": 3, **SEEN}
TISSUE = [{"register": {}}, {"strip_skull": {}}, {"segment_tissue": {"output": "layer"}}]


def judged(entry=None, cohorts=("ixi",), model="tissues", **changes):
    return protocol(
        models={"tissues": {**SEGMENTATION, **(entry or {})}},
        training={"streams": {"anatomy": {"cohorts": list(cohorts)}}},
        evaluation={"fidelity": {"model": model}},
        **changes,
    )


def with_maps(folder, *cohorts, subjects=5, **changes):
    """Changes of a configuration: label maps of some subjects of cohorts, and their classes."""
    for cohort in cohorts:
        for number in range(subjects):
            label = f"sub-{number:02d}"
            path = folder / "data" / cohort / label / "anat" / f"{label}_seg-anatomy_dseg.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return {cohort: {"anatomy_classes": CLASSES, **changes} for cohort in cohorts}


def refused(folder, content, **config) -> str:
    with pytest.raises(NormscanError) as caught:
        load(folder, content, **config)
    return str(caught.value)


def test_what_judges_is_trained_on_its_own_stream_once(tmp_path):
    content = judged()
    content["training"]["shares"] = [10]
    made = plan(tmp_path, content, changes=with_maps(tmp_path, "ixi"), seeds=[3, 4])
    w = wildcards(made, protocol="p0", variant="vae@10pct", cohort="ms", shard="00")
    w.protocol = "p0"
    files = made.fidelity.model(w)
    assert "ixi+oasis--anatomy-ixi/tissues/seed-3/weights" in files["weights"]
    assert made.fidelity.classes("p0") == ["csf", "grey_matter", "white_matter"]
    tables = made.fidelity.tables()
    # Two models by two seeds, and the approach without a model, on two cohorts.
    assert len(tables) == (2 * 2 + 1) * 2 and len(set(tables)) == len(tables)
    trained = wildcards(made, training="ixi+oasis--anatomy-ixi", model="tissues")
    assert made.training.streams(trained) == {"anatomy": {"cohorts": ["ixi"], "slices": "all"}}


def test_nothing_is_measured_unless_asked_for(tmp_path):
    made = plan(tmp_path, protocol())
    assert made.fidelity.tables() == []


def test_reports_know_the_model_that_judges():
    found, problems = parse_protocol("p", judged())
    assert problems == [] and "tissues" in found.models_used()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (judged(model="tisues"), "fidelity.model: found 'tisues' (did you mean 'tissues'?)"),
        (judged(model="vae"), "fidelity.model: model 'vae' (family 'vae') cannot classify"),
        (judged({"inputs": ["T1w", "FLAIR"], "targets": ["T1w", "FLAIR"]}), "must be one contrast"),
        (judged({"inputs": ["FLAIR"], "targets": ["FLAIR"]}), "approaches reconstruct T1w first"),
        (judged({"classes": 0}), "models.tissues.classes: found 0"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_judge_is_named(content, expected):
    assert expected in "\n".join(parse_protocol("p", content)[1])


def test_a_stream_is_needed():
    content = judged()
    del content["training"]
    assert "training.streams.anatomy" in "\n".join(parse_protocol("p", content)[1])


def test_a_cohort_without_classes_is_named_with_the_remedy(tmp_path):
    text = refused(tmp_path, judged())
    for part in ("cohorts.ixi.anatomy_classes: is missing", "'tissues'", "segment_tissue"):
        assert part in text


def test_tissues_are_classes_where_no_label_maps_are_given(tmp_path):
    made = plan(tmp_path, judged(preprocessing=TISSUE))
    assert made.fidelity.classes("p0") == ["csf", "grey_matter", "white_matter"]


def test_a_scan_without_a_label_map_is_named(tmp_path):
    text = refused(tmp_path, judged(), changes=with_maps(tmp_path, "ixi", subjects=3))
    assert "cohorts.ixi: no label map of anatomy of sub-03, sub-04, which model 'tissues'" in text
    # Unless no model is trained on it.
    load(tmp_path, protocol(), changes=with_maps(tmp_path, "ixi", subjects=3))


def test_another_number_of_classes_is_named(tmp_path):
    text = refused(tmp_path, judged({"classes": 13}), changes=with_maps(tmp_path, "ixi"))
    assert "models.tissues.classes: found 13; label maps of 'ixi' have 3 (csf, " in text


def test_cohorts_must_have_the_same_classes_in_the_same_order(tmp_path):
    both = judged(cohorts=("ixi", "oasis"))
    changes = with_maps(tmp_path, "ixi", "oasis")
    changes["oasis"]["anatomy_classes"] = {"csf": 24, "grey_matter": 3, "white_matter": 2}
    load(tmp_path, both, changes=changes)
    changes["oasis"]["anatomy_classes"] = {"white_matter": 1, "grey_matter": 2, "csf": 3}
    text = refused(tmp_path, both, changes=changes)
    assert "cohorts.oasis.anatomy_classes: found white_matter, grey_matter, csf, but 'ixi'" in text


def test_a_label_of_two_classes_is_named(tmp_path):
    classes = {"csf": 1, "grey_matter": [2, 1]}
    text = refused(tmp_path, protocol(), changes={"ixi": {"anatomy_classes": classes}})
    assert "anatomy_classes: label 1 stands for csf and grey_matter" in text


def test_label_maps_are_files_of_their_shard_and_of_no_other_scans(tmp_path):
    made = plan(tmp_path, judged(), changes=with_maps(tmp_path, "ixi"))
    w = wildcards(made, cohort="ixi", shard="00")
    assert any("seg-anatomy_dseg" in path for path in made.cohorts.scan_files(w))
    assert all(one["anatomy"] for one in made.cohorts.scan_records(w))
    w.cohort = "oasis"
    assert not any(one["anatomy"] for one in made.cohorts.scan_records(w))


def test_paths_of_scores_are_read_back():
    filled = layout.FIDELITY_SCORES.format(
        protocol="p", variant="vae@10pct", seed=0, cohort="ms", shard="00"
    )
    assert layout.parse(layout.FIDELITY_SCORES, filled)["variant"] == "vae@10pct"
