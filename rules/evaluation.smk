"""From histograms and detections to one tidy table."""


rule evaluate:
    input:
        histograms=lambda w: PLAN.evaluated_histograms(w),
        scores=lambda w: PLAN.detected_scores(w),
        thresholds=PLAN.path(DETECTIONS, "thresholds.json"),
        subjects=PLAN.path("cohorts/{cohort}/subjects.tsv"),
    output:
        rows=PLAN.path("evaluation/{protocol}/{variant}/seed-{seed}/{cohort}.tsv"),
        curves=PLAN.path("evaluation/{protocol}/{variant}/seed-{seed}/{cohort}.json"),
    params:
        prior=lambda w: STUDY.cohorts[w.cohort].prior,
        code=code("evaluate.py"),
    log:
        log_file("evaluate", "{protocol}", "{variant}", "seed-{seed}", "{cohort}"),
    benchmark:
        benchmark_file("evaluate", "{protocol}", "{variant}", "seed-{seed}", "{cohort}")
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    conda:
        "../envs/imaging.yaml"
    script:
        "../workflow_scripts/evaluate.py"


rule collect_metrics:
    input:
        PLAN.evaluation_tables(),
    output:
        PLAN.path("metrics.tsv"),
    params:
        code=code("collect_metrics.py"),
    log:
        log_file("collect_metrics", "all"),
    benchmark:
        benchmark_file("collect_metrics", "all")
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    conda:
        "../envs/imaging.yaml"
    script:
        "../workflow_scripts/collect_metrics.py"
