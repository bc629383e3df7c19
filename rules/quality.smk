"""Quality control of preprocessed scans, as soon as they are there, and who waits for it."""


# Before other jobs that are ready: what is wrong is to be known before models are trained on it.
rule check_quality:
    input:
        manifests=lambda w: PLAN.quality.manifests(w),
        checked=gate,
    output:
        table=PLAN.path(layout.QUALITY_TABLE),
        flagged=PLAN.path(layout.QUALITY),
    log:
        log_file("check_quality", "{protocol}", "{cohort}"),
    benchmark:
        benchmark_file("check_quality", "{protocol}", "{cohort}")
    priority: 1
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        folder=PLAN.path(layout.QUALITY_FOLDER),
        reference=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        slices=lambda w: PLAN.quality.slices(w.protocol),
        lesion_labels=lambda w: PLAN.cohorts.lesion_labels(w.cohort),
        atlases=STUDY.atlases,
        code=code("check_quality.py"),
    script:
        "../workflow_scripts/check_quality.py"


# With `on_flagged: stop` all packing waits for it, but does not run again when it does.
rule check_flags:
    input:
        quality=PLAN.quality.of_cohorts(PLAN.cohorts.named("healthy", "patients")),
    output:
        PLAN.path(layout.UNFLAGGED),
    log:
        log_file("check_flags", "all"),
    benchmark:
        benchmark_file("check_flags", "all")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("check_flags.py"),
    script:
        "../workflow_scripts/check_flags.py"


rule check_screened_flags:
    input:
        quality=lambda w: PLAN.quality.of_cohorts([w.cohort]),
    output:
        PLAN.path(layout.UNFLAGGED_SCREENED),
    log:
        log_file("check_screened_flags", "{cohort}"),
    benchmark:
        benchmark_file("check_screened_flags", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("check_flags.py"),
    script:
        "../workflow_scripts/check_flags.py"
