"""From histograms and detections to one tidy table."""


rule evaluate:
    input:
        histograms=lambda w: PLAN.evaluated_histograms(w),
        residuals=lambda w: PLAN.evaluated_histograms(w, "-residuals.json"),
        scores=lambda w: PLAN.detected_scores(w),
        froc=lambda w: PLAN.detected_scores(w, "-froc.tsv"),
        thresholds=PLAN.path(DETECTIONS, "thresholds.json"),
        subjects=PLAN.path("cohorts/{cohort}/subjects.tsv"),
    output:
        rows=PLAN.path("evaluation/{protocol}/{variant}/seed-{seed}/{cohort}.tsv"),
        curves=PLAN.path("evaluation/{protocol}/{variant}/seed-{seed}/{cohort}.json"),
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
        prior=lambda w: STUDY.cohorts[w.cohort].prior,
        residual=lambda w: PLAN.is_residual(w.variant),
        code=code("evaluate.py"),
    script:
        "../workflow_scripts/evaluate.py"


rule collect_metrics:
    input:
        PLAN.evaluation_tables(),
    output:
        PLAN.path("metrics.tsv"),
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
