"""What reruns when: every row of docs/staleness.md, with the exact set of jobs of a dry run.

The study has two shards of healthy subjects and two of patients, and three approaches (intensity
without a model, an AE, a restored VAE).
"""

from __future__ import annotations

import pytest
from changes import (
    Change,
    both,
    code,
    config,
    docstring,
    kept,
    more_patients,
    patient_added,
    protocol,
    replaced,
    touched,
    trained_on_patients,
)

pytestmark = pytest.mark.workflow

SCRIPTS = "workflow_scripts/"
LIBRARY = SCRIPTS + "normscan/"
SUMMARY = {
    "collect_metrics": 1,
    "compare_approaches": 1,
    "draw_figures": 1,
    "report": 1,
    "patient_pages": 1,
}
AFTER_THRESHOLDS = {"segment": 6, "export_bundle": 3, "evaluate": 3, **SUMMARY}
AFTER_FILTER = {"find_thresholds": 3, **AFTER_THRESHOLDS}
AFTER_MAPS = {"filter_maps": 12, **AFTER_FILTER}
AFTER_PACK = {"train": 2, "tune_detector": 1, "detect": 12, **AFTER_MAPS}
ONE_APPROACH = {
    **dict.fromkeys(("detect", "filter_maps"), 4),
    "find_thresholds": 1,
    "segment": 2,
    "export_bundle": 1,
    "evaluate": 1,
    **SUMMARY,
}
ONE_SHARD = {
    "check_scans": 1,
    "register": 1,
    "strip_skull": 1,
    "denoise": 1,
    "normalise": 1,
    "pack_slices": 1,
}
BOTH_MODELS = {
    "train": 2,
    "tune_detector": 1,
    "detect": 8,
    "filter_maps": 8,
    "find_thresholds": 2,
    "segment": 4,
    "export_bundle": 2,
    "evaluate": 2,
    **SUMMARY,
}
# A shard of patients changed: its own jobs, what sums up its cohort, and operating points.
PATIENTS_CHANGED = {
    **ONE_SHARD,
    "check_cohorts": 1,
    "split_subjects": 1,
    "check_quality": 1,
    "detect": 3,
    "filter_maps": 3,
    **AFTER_FILTER,
}
MORE_PATIENTS = {
    **{rule: 2 * count for rule, count in ONE_SHARD.items()},
    "simulate": 2,
    "check_cohorts": 1,
    "split_subjects": 1,
    "check_quality": 1,
    "detect": 6,
    "filter_maps": 6,
    "segment": 6,
    "evaluate": 3,
    "collect_metrics": 1,
    "compare_approaches": 1,
    "draw_figures": 2,
    # Of the cohorts there were, nothing that their pages show has changed.
    "patient_pages": 1,
    "report": 1,
}

VALUE = "\nADDED = 1\n"
ROWS: dict[str, tuple[Change, dict[str, int]]] = {
    "comment in a script": (code(SCRIPTS + "detect.py", "# a comment\n"), {}),
    "comment in the library": (code(LIBRARY + "models/vae.py", "# a comment\n"), {}),
    "docstring": (docstring(LIBRARY + "detectors/reconstruction.py"), {}),
    "code touched": (
        touched(SCRIPTS + "train.py", LIBRARY + "models/vae.py", "rules/training.smk"),
        {},
    ),
    "title": (config(lambda c: c.update(title="other")), {"report": 1}),
    "pictures inside of the report": (
        config(lambda c: c.update(report={"embed": True})),
        {"report": 1},
    ),
    "left and right": (
        config(lambda c: c.update(figures={"orientation": "radiological"})),
        {"compare_approaches": 1, "draw_figures": 1, "patient_pages": 1, "report": 1},
    ),
    "preprocessing": (
        protocol(lambda p: p["preprocessing"][3]["normalise"].update(percentile=95)),
        {"normalise": 4, "check_quality": 2, "pack_slices": 4, **AFTER_PACK},
    ),
    "slice size": (
        protocol(lambda p: p["slices"].update(size=32)),
        {"pack_slices": 4, "check_quality": 2, **AFTER_PACK},
    ),
    # Packs are made of other files then, whether any scan is flagged or not.
    "flagged scans left out": (
        config(lambda c: c.update(on_flagged="exclude")),
        {"pack_slices": 4, **AFTER_PACK},
    ),
    "flagged scans stop a run": (
        config(lambda c: c.update(on_flagged="stop")),
        {"check_flags": 1, "pack_slices": 4, **AFTER_PACK},
    ),
    "model setting": (
        protocol(lambda p: p["models"]["vae"].update(latent=16)),
        {"train": 1, "tune_detector": 1, **ONE_APPROACH},
    ),
    "detector setting": (
        protocol(lambda p: p["approaches"]["vae"].update(steps=3)),
        {"tune_detector": 1, **ONE_APPROACH},
    ),
    "post-processing": (protocol(lambda p: p["postprocessing"].update(median=1)), AFTER_MAPS),
    "threshold rule": (
        protocol(lambda p: p.update(threshold_rules=[{"healthy_fpr": {"rate": 0.02}}])),
        AFTER_FILTER,
    ),
    "volumes that are written": (
        config(lambda c: c.update(volumes={"detections": "atlas"})),
        {"segment": 6, "evaluate": 3, **SUMMARY},
    ),
    "code of a model": (
        code(LIBRARY + "models/vae.py", VALUE),
        {"train": 1, "tune_detector": 1, **ONE_APPROACH},
    ),
    "title of a model": (code(LIBRARY + "models/vae.py", '\nTITLE = "other"\n'), {"report": 1}),
    "look of a model": (
        code(LIBRARY + "models/vae.py", '\nLOOK = "other"\n'),
        {"compare_approaches": 1, "draw_figures": 1, "report": 1},
    ),
    "code of a detector": (
        code(LIBRARY + "detectors/reconstruction.py", VALUE),
        ONE_APPROACH,
    ),
    "look of the report": (
        code(LIBRARY + "report/pages/report.html", "<!-- changed -->"),
        {"patient_pages": 1, "report": 1},
    ),
    "code of the report": (
        code(LIBRARY + "report/leaderboard.py", VALUE),
        {"patient_pages": 1, "report": 1},
    ),
    "code of a step": (
        code(LIBRARY + "preprocessing/denoise.py", VALUE),
        {"denoise": 4, "normalise": 4, "check_quality": 2, "pack_slices": 4, **AFTER_PACK},
    ),
    "network code": (code(LIBRARY + "networks/unified.py", VALUE), BOTH_MODELS),
    "patient added": (patient_added, PATIENTS_CHANGED),
    "patient added and model setting": (
        both(patient_added, protocol(lambda p: p["models"]["vae"].update(latent=16))),
        {**PATIENTS_CHANGED, "train": 1, "tune_detector": 1, "detect": 6, "filter_maps": 6},
    ),
    # Two patients fit into one shard, so the two shards become one.
    "patient removed": (
        config(lambda c: c["cohorts"]["ms"].update(exclude=["sub-03"])),
        {**PATIENTS_CHANGED, "segment": 3},
    ),
    "healthy subject added": (
        config(lambda c: c["cohorts"]["healthy"]["simulation"].update(subjects=4)),
        {
            **ONE_SHARD,
            "simulate": 1,
            "check_cohorts": 1,
            "split_subjects": 1,
            "check_quality": 1,
            "train": 2,
            "tune_detector": 1,
            # All but the model-free maps of patients.
            "detect": 10,
            "filter_maps": 10,
            **AFTER_FILTER,
        },
    ),
    "patient cohort added": (
        config(lambda c: c["cohorts"].update(more=more_patients(c, "hyperintense"))),
        MORE_PATIENTS,
    ),
    # Healthy scans are filtered under the new prior, too, and thresholds are found for it.
    "patient cohort with another prior added": (
        config(lambda c: c["cohorts"].update(more=more_patients(c, "none"))),
        {
            **MORE_PATIENTS,
            "patient_pages": 2,
            "filter_maps": 12,
            "find_thresholds": 3,
            "export_bundle": 3,
            "segment": 12,
            "evaluate": 6,
        },
    ),
    # Of three healthy subjects one becomes a host: the two others fit into one shard.
    "synthetic cohort added": (
        config(
            lambda c: c["cohorts"].update(
                balls={
                    "source": "synthetic",
                    "validation": 0,
                    "prior": "hyperintense",
                    "synthetic": {"hosts": "healthy", "subjects": 1, "masks": "spheres"},
                }
            )
        ),
        {
            **{rule: 2 * count for rule, count in ONE_SHARD.items()},
            "paste_anomalies": 1,
            "check_cohorts": 1,
            "split_subjects": 2,
            "check_quality": 2,
            "train": 2,
            "tune_detector": 1,
            # All but the model-free maps of the patients there were.
            "detect": 10,
            "filter_maps": 10,
            **AFTER_FILTER,
            "segment": 9,
            "evaluate": 6,
            "draw_figures": 2,
            "patient_pages": 2,
        },
    ),
    "protocol that trains on patients": (
        trained_on_patients,
        {
            "split_subjects": 1,
            # All of the second protocol: its models' maps, and those of the first without a model.
            "train": 2,
            "tune_detector": 1,
            "detect": 8,
            "filter_maps": 12,
            "check_quality": 2,
            # Both: one patient less is tested.
            **{rule: 2 * count for rule, count in AFTER_FILTER.items()},
            "collect_metrics": 1,
            "report": 1,
        },
    ),
    "scan replaced": (replaced("data/ms/sub-03/anat/sub-03_FLAIR.nii.gz"), PATIENTS_CHANGED),
    # Pages of patients show the first seed.
    "seed added": (
        config(lambda c: c.update(seeds=[0, 1])),
        {rule: count for rule, count in BOTH_MODELS.items() if rule != "patient_pages"},
    ),
}


def test_nothing_changed(finished):
    assert finished.counts("all") == {}
    assert finished.counts("screen") == {}


@pytest.mark.parametrize("row", ROWS)
def test_row(finished, row):
    change, expected = ROWS[row]
    with kept(*(finished.folder / file for file in change.files)):
        change(finished)
        assert finished.counts("all") == expected
        assert "train" not in finished.counts("screen")


def test_every_change_was_taken_back(finished):
    assert finished.counts("all") == {}


def test_a_cohort_to_screen_makes_nothing_else_stale(finished):
    def later(content: dict) -> None:
        new = content["cohorts"]["new"]
        content["cohorts"]["later"] = {**new, "simulation": {**new["simulation"], "seed": 8}}

    change = config(later)
    with kept(finished.folder / "config.yaml"):
        change(finished)
        assert finished.counts("all") == {"report": 1}, "which shows the configuration"
        jobs = finished.planned("screen")
        assert {job[1]["cohort"] for job in jobs} == {"later"}
        assert {"check_screened_cohort", "screen_scans"} <= {rule for rule, _ in jobs}
