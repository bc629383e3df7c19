"""Anomaly maps: one job per model, detector, seed and shard of a cohort."""


rule tune_detector:
    input:
        unpack(lambda w: PLAN.detection.model(w)),
        packs=lambda w: PLAN.training.tuning_packs(w),
        subjects=lambda w: PLAN.training.tuning_subjects(w),
    output:
        tuned=PLAN.path(layout.TUNED),
    log:
        log_file("tune_detector", "{chain}", "{pack}", "{training}", "{approach}", "seed-{seed}"),
    benchmark:
        benchmark_file(
            "tune_detector", "{chain}", "{pack}", "{training}", "{approach}", "seed-{seed}"
        )
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=GPU,
        mem_mb=detection_memory(),
        runtime=minutes(120, per_scan=0.1, cost=lambda w: PLAN.detection.cost(w.approach)),
    params:
        detector=lambda w: PLAN.detection.detector(w),
        settings=lambda w: PLAN.detection.settings(w),
        uses=lambda w: PLAN.detection.uses(w),
        device=STUDY.device,
        code=detector_code("tune_detector.py"),
    script:
        "../workflow_scripts/tune_detector.py"


rule detect:
    input:
        unpack(lambda w: PLAN.detection.model(w)),
        unpack(lambda w: PLAN.detection.tuned(w)),
        unpack(lambda w: PLAN.detection.chosen(w)),
        slices=PLAN.path(layout.SLICES),
        index=PLAN.path(layout.INDEX),
    output:
        PLAN.path(layout.MAP_MANIFEST),
    log:
        log_file(
            "detect",
            "{chain}",
            "{pack}",
            "{training}",
            "{approach}",
            "seed-{seed}",
            "{cohort}",
            "{shard}",
        ),
    benchmark:
        benchmark_file(
            "detect",
            "{chain}",
            "{pack}",
            "{training}",
            "{approach}",
            "seed-{seed}",
            "{cohort}",
            "{shard}",
        )
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=lambda w: 0 if PLAN.detection.is_free(w.approach) else GPU,
        mem_mb=detection_memory(packs=True),
        runtime=minutes(60, per_scan=5, cost=lambda w: PLAN.detection.cost(w.approach)),
    params:
        detector=lambda w: PLAN.detection.detector(w),
        settings=lambda w: PLAN.detection.settings(w),
        uses=lambda w: PLAN.detection.uses(w),
        others=False,
        device=STUDY.device,
        code=detector_code("detect.py"),
    script:
        "../workflow_scripts/detect.py"


# Scans that a model was trained on are not evaluated, and get maps only where pseudo-labels are made
# of them: in a file of their own, so that nothing else is made anew.
rule detect_others:
    input:
        unpack(lambda w: PLAN.detection.model(w)),
        unpack(lambda w: PLAN.detection.tuned(w)),
        unpack(lambda w: PLAN.detection.chosen(w)),
        slices=PLAN.path(layout.SLICES),
        index=PLAN.path(layout.INDEX),
    output:
        PLAN.path(layout.OTHER_MAPS),
    log:
        log_file(
            "detect_others",
            "{chain}",
            "{pack}",
            "{training}",
            "{approach}",
            "seed-{seed}",
            "{cohort}",
            "{shard}",
        ),
    benchmark:
        benchmark_file(
            "detect_others",
            "{chain}",
            "{pack}",
            "{training}",
            "{approach}",
            "seed-{seed}",
            "{cohort}",
            "{shard}",
        )
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=lambda w: 0 if PLAN.detection.is_free(w.approach) else GPU,
        mem_mb=detection_memory(packs=True),
        runtime=minutes(60, per_scan=5, cost=lambda w: PLAN.detection.cost(w.approach)),
    params:
        detector=lambda w: PLAN.detection.detector(w),
        settings=lambda w: PLAN.detection.settings(w),
        uses=lambda w: PLAN.detection.uses(w),
        others=True,
        device=STUDY.device,
        code=detector_code("detect.py"),
    script:
        "../workflow_scripts/detect.py"
