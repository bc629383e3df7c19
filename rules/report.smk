"""Figures and the report."""


rule check_quality:
    input:
        manifests=lambda w: PLAN.prepared(PLAN.chain[w.protocol], w.cohort),
        packs=lambda w: PLAN.packed(PLAN.chain[w.protocol], PLAN.pack[w.protocol], [w.cohort]),
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
        lesion_labels=lambda w: PLAN.lesion_labels(w.cohort),
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
        lesion_labels=lambda w: PLAN.lesion_labels(w.cohort),
        approaches=lambda w: PLAN.figure_approaches(w.protocol),
        code=code("draw_figures.py"),
    script:
        "../workflow_scripts/draw_figures.py"


rule compare_approaches:
    input:
        metrics=PLAN.path("metrics.tsv"),
        maps=lambda w: PLAN.compared_maps(w.protocol),
        models=lambda w: list(PLAN.compared_models(w.protocol)),
    output:
        figures=PLAN.path("study/{protocol}/figures.json"),
        patients=PLAN.path("study/{protocol}/patients.tsv"),
        tests=PLAN.path("study/{protocol}/tests.tsv"),
        correlations=PLAN.path("study/{protocol}/correlations.tsv"),
        ranks=PLAN.path("study/{protocol}/published_ranks.tsv"),
        beside=PLAN.path("study/{protocol}/published_beside.tsv"),
    log:
        log_file("compare_approaches", "{protocol}"),
    benchmark:
        benchmark_file("compare_approaches", "{protocol}")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        folder=PLAN.path("study/{protocol}"),
        lesion_labels=lambda w: {
            cohort: PLAN.lesion_labels(cohort) for cohort in PLAN.evaluation_cohorts(w.protocol)
        },
        approaches=lambda w: PLAN.figure_approaches(w.protocol),
        rule=lambda w: STUDY.protocols[w.protocol].rules[0].label,
        models=lambda w: list(PLAN.compared_models(w.protocol).values()),
        published=lambda w: STUDY.protocols[w.protocol].citation,
        code=code("compare_approaches.py"),
    script:
        "../workflow_scripts/compare_approaches.py"


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
        run=lambda w: PLAN.run_record(config),
        results=lambda w, output: str(Path(output[0]).parent),
        code=code("report.py"),
    script:
        "../workflow_scripts/report.py"
