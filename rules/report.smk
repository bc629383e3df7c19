"""Figures and the report."""


rule check_quality:
    input:
        manifests=lambda w: PLAN.prepared(PLAN.chain[w.protocol], w.cohort),
        checked=lambda w: checked(w),
    output:
        table=PLAN.path("quality/{protocol}/{cohort}.tsv"),
        flagged=PLAN.path("quality/{protocol}/{cohort}.json"),
    log:
        log_file("check_quality", "{protocol}", "{cohort}"),
    benchmark:
        benchmark_file("check_quality", "{protocol}", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        folder=PLAN.path("quality/{protocol}/{cohort}"),
        reference=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        atlases=STUDY.atlases,
        code=code("check_quality.py"),
    script:
        "../workflow_scripts/check_quality.py"


rule draw_figures:
    input:
        metrics=PLAN.path("metrics.tsv"),
        curves=lambda w: PLAN.curve_files(w.protocol, w.cohort),
        filtered=lambda w: PLAN.figure_maps(w.protocol, w.cohort),
    output:
        PLAN.path("figures/{protocol}/{cohort}/figures.json"),
    log:
        log_file("draw_figures", "{protocol}", "{cohort}"),
    benchmark:
        benchmark_file("draw_figures", "{protocol}", "{cohort}")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        folder=PLAN.path("figures/{protocol}/{cohort}"),
        approaches=lambda w: PLAN.figure_approaches(w.protocol),
        code=code("draw_figures.py"),
    script:
        "../workflow_scripts/draw_figures.py"


rule report:
    input:
        unpack(lambda w: PLAN.report_inputs()),
    output:
        PLAN.path("report.html"),
    log:
        log_file("report", "all"),
    benchmark:
        benchmark_file("report", "all")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
    params:
        run=PLAN.run_record(config),
        code=code("report.py"),
    script:
        "../workflow_scripts/report.py"
