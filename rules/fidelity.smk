"""Anatomical fidelity: how a segmentation of normal anatomy sees reconstructions."""


rule measure_fidelity:
    input:
        unpack(lambda w: PLAN.fidelity.model(w)),
        maps=lambda w: PLAN.detection.map_manifest(w),
        index=lambda w: PLAN.preprocessing.index(w),
    output:
        PLAN.path(layout.FIDELITY_SCORES),
    log:
        log_file(
            "measure_fidelity", "{protocol}", "{variant}", "seed-{seed}", "{cohort}", "{shard}"
        ),
    benchmark:
        benchmark_file(
            "measure_fidelity", "{protocol}", "{variant}", "seed-{seed}", "{cohort}", "{shard}"
        )
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=GPU,
        mem_mb=detection_memory(),
        runtime=minutes(30, per_scan=1),
    params:
        classes=lambda w: PLAN.fidelity.classes(w.protocol),
        device=STUDY.device,
        code=lambda w: fingerprint("measure_fidelity.py", *PLAN.fidelity.modules(w.protocol)),
    script:
        "../workflow_scripts/measure_fidelity.py"


rule evaluate_fidelity:
    input:
        scores=lambda w: PLAN.fidelity.scores(w),
        subjects=PLAN.path(layout.SUBJECTS),
    output:
        PLAN.path(layout.FIDELITY),
    log:
        log_file("evaluate_fidelity", "{protocol}", "{variant}", "seed-{seed}", "{cohort}"),
    benchmark:
        benchmark_file("evaluate_fidelity", "{protocol}", "{variant}", "seed-{seed}", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
    params:
        code=code("evaluate_fidelity.py"),
    script:
        "../workflow_scripts/evaluate_fidelity.py"


rule show_fidelity:
    input:
        unpack(lambda w: PLAN.fidelity.model(w)),
        unpack(lambda w: PLAN.fidelity.compared(w)),
        subjects=PLAN.path(layout.SUBJECTS),
    output:
        PLAN.path(layout.FIDELITY_EXAMPLE),
    log:
        log_file("show_fidelity", "{protocol}", "{cohort}"),
    benchmark:
        benchmark_file("show_fidelity", "{protocol}", "{cohort}")
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(10),
    params:
        classes=lambda w: PLAN.fidelity.classes(w.protocol),
        titles=lambda w: PLAN.fidelity.titles(w.protocol),
        device="cpu",
        code=lambda w: fingerprint("show_fidelity.py", *PLAN.fidelity.modules(w.protocol)),
    script:
        "../workflow_scripts/show_fidelity.py"
