"""From histograms and detections to one tidy table."""


rule evaluate:
    input:
        histograms=lambda w: PLAN.scoring.evaluated(w),
        residuals=lambda w: PLAN.scoring.evaluated(w, layout.RESIDUALS),
        scores=lambda w: PLAN.scoring.scores(w),
        froc=lambda w: PLAN.scoring.scores(w, layout.FROC_SCORES),
        slices=lambda w: PLAN.scoring.scores(w, layout.SLICE_AREAS),
        thresholds=PLAN.path(layout.THRESHOLDS),
        subjects=PLAN.path(layout.SUBJECTS),
    output:
        rows=PLAN.path(layout.EVALUATION),
        curves=PLAN.path(layout.CURVES),
        slices=PLAN.path(layout.EVALUATED_SLICES),
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


# Scores on synthetic anomalies, what they would have chosen, and how good that was.
rule choose_without_labels:
    input:
        metrics=PLAN.path(layout.METRICS),
        histograms=lambda w: PLAN.selection.histograms(w.protocol),
        thresholds=lambda w: PLAN.selection.thresholds(w.protocol),
        subjects=PLAN.cohorts.splits(STUDY.selection),
    output:
        summary=PLAN.path(layout.SELECTION),
        regret=PLAN.path(layout.SELECTION_REGRET),
        scores=PLAN.path(layout.SELECTION_SCORES),
        ranks=PLAN.path(layout.SELECTION_RANKS),
        rates=PLAN.path(layout.SELECTION_RATES),
    log:
        log_file("choose_without_labels", "{protocol}"),
    benchmark:
        benchmark_file("choose_without_labels", "{protocol}")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        folder=PLAN.path(layout.STUDY_FOLDER),
        approaches=lambda w: PLAN.report.approaches(w.protocol),
        records=lambda w: PLAN.selection.records(w.protocol),
        jobs=lambda w: PLAN.selection.jobs(w.protocol),
        cohorts=list(STUDY.selection),
        judged=lambda w: PLAN.cohorts.judged(w.protocol),
        priors=lambda w: PLAN.selection.priors(w.protocol),
        rules=lambda w: PLAN.scoring.rule_records(w.protocol),
        code=code("choose_without_labels.py"),
    script:
        "../workflow_scripts/choose_without_labels.py"
