"""Removing what can be made again: nothing is to be done afterwards, and results stay."""

import pytest

pytestmark = pytest.mark.workflow


def volumes(workflow, stage: str) -> list:
    """Images of preprocessed scans, arrays of maps."""
    return [
        path
        for pattern in ("*_FLAIR.nii.gz", "*.npy")
        for path in (workflow.results / stage).rglob(pattern)
    ]


def test_intermediates_can_go_and_are_made_again_when_asked_for(small):
    """Ends with the results that it began with, for other tests."""
    workflow = small
    metrics = (workflow.results / "metrics.tsv").read_bytes()
    assert volumes(workflow, "preprocessed") and volumes(workflow, "maps")
    assert "Storage" in (workflow.results / "report.html").read_text()
    workflow.run("clean_intermediates")
    for stage in ("preprocessed", "maps", "detections"):
        assert not volumes(workflow, stage)
    assert list(workflow.results.glob("preprocessed/**/*.mat")), "transforms are no intermediates"
    assert list(workflow.results.glob("detections/**/*_dseg.nii.gz"))
    assert workflow.counts("all") == {}
    # Metrics are computed again from what stayed.
    table = workflow.results / "metrics.tsv"
    workflow.run(str(table.relative_to(workflow.folder)), "--forcerun", "evaluate")
    assert table.read_bytes() == metrics
    assert not volumes(workflow, "preprocessed") and not volumes(workflow, "maps")
    # Detections need maps, and those the model and the slices, which are there.
    workflow.protocol["postprocessing"]["minimum_voxels"] = 3
    workflow.config["intermediates"] = "remove"
    workflow.write()
    counts = workflow.counts("all")
    assert {"detect", "filter_maps", "segment", "report"} <= set(counts)
    assert not {"train", "register", "pack_slices"} & set(counts)
    workflow.run("all", "--until", "detect")
    assert volumes(workflow, "maps"), "kept for the stages to come"
    workflow.run("all")
    assert not volumes(workflow, "maps"), "removed after a complete run"
    assert workflow.counts("all") == {}
    workflow.protocol["postprocessing"]["minimum_voxels"] = 2
    workflow.write()
    workflow.run("all")
    assert (workflow.results / "metrics.tsv").read_bytes() == metrics
