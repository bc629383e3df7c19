"""From histograms and detections to one tidy table."""


rule evaluate:
    input:
        histograms=lambda w: PLAN.scoring.evaluated(w),
        residuals=lambda w: PLAN.scoring.evaluated(w, layout.RESIDUALS),
        scores=lambda w: PLAN.scoring.scores(w),
        froc=lambda w: PLAN.scoring.scores(w, layout.FROC_SCORES),
        thresholds=PLAN.path(layout.THRESHOLDS),
        subjects=PLAN.path(layout.SUBJECTS),
    output:
        rows=PLAN.path(layout.EVALUATION),
        curves=PLAN.path(layout.CURVES),
    log:
        log_file("evaluate", "{protocol}", "{variant}", "seed-{seed}", "{cohort}"),
    benchmark:
        benchmark_file("evaluate", "{protocol}", "{variant}", "seed-{seed}", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        residual=lambda w: PLAN.scoring.is_residual(w.variant),
        code=code("evaluate.py"),
    script:
        "../workflow_scripts/evaluate.py"


rule collect_metrics:
    input:
        PLAN.scoring.tables(),
        PLAN.fidelity.tables(),
    output:
        PLAN.path(layout.METRICS),
    log:
        log_file("collect_metrics", "all"),
    benchmark:
        benchmark_file("collect_metrics", "all")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("collect_metrics.py"),
    script:
        "../workflow_scripts/collect_metrics.py"
