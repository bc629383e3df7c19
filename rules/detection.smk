"""Anomaly maps: one job per model, detector, seed and shard of a cohort."""


rule tune_detector:
    input:
        unpack(approach_model),
        packs=training_packs,
        subjects=training_subjects,
    output:
        tuned=PLAN.path(MAPS, "tuned.json"),
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
        runtime=minutes(120, per_scan=0.1),
    params:
        detector=lambda w: PLAN.approach(w.approach).detector,
        settings=lambda w: PLAN.approach(w.approach).settings,
        device=STUDY.device,
        code=detector_code("tune_detector.py"),
    script:
        "../workflow_scripts/tune_detector.py"


rule detect:
    input:
        unpack(approach_model),
        unpack(tuned_settings),
        unpack(chosen_scans),
        slices=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.npy"),
        index=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.json"),
    output:
        PLAN.path(MAPS, "{cohort}/{shard}.json"),
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
        gpu=lambda w: 0 if PLAN.approach(w.approach).model == "none" else GPU,
        mem_mb=detection_memory(packs=True),
        runtime=minutes(60, per_scan=5),
    params:
        detector=lambda w: PLAN.approach(w.approach).detector,
        settings=lambda w: PLAN.approach(w.approach).settings,
        device=STUDY.device,
        code=detector_code("detect.py"),
    script:
        "../workflow_scripts/detect.py"
