"""Figures and the report."""


rule draw_figures:
    input:
        metrics=PLAN.path(layout.METRICS),
        curves=lambda w: PLAN.report.curves(w),
        slices=lambda w: PLAN.report.curves(w, layout.EVALUATED_SLICES),
        filtered=lambda w: PLAN.report.maps(w),
        fidelity=lambda w: PLAN.fidelity.examples(w),
    output:
        PLAN.path(layout.FIGURES),
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
        folder=PLAN.path(layout.FIGURES_FOLDER),
        lesion_labels=lambda w: PLAN.cohorts.lesion_labels(w.cohort),
        lesion_classes=lambda w: PLAN.cohorts.lesion_classes(w.cohort),
        orientation=STUDY.figures["orientation"],
        approaches=lambda w: PLAN.report.approaches(w.protocol),
        code=code("draw_figures.py"),
    script:
        "../workflow_scripts/draw_figures.py"


rule compare_approaches:
    input:
        metrics=PLAN.path(layout.METRICS),
        maps=lambda w: PLAN.report.compared_maps(w),
        models=lambda w: PLAN.report.compared_models(w),
        tuned=lambda w: list(PLAN.report.compared_tuned(w)),
    output:
        figures=PLAN.path(layout.STUDY_FIGURES),
        patients=PLAN.path(layout.STUDY_PATIENTS),
        classes=PLAN.path(layout.STUDY_CLASSES),
        tests=PLAN.path(layout.STUDY_TESTS),
        trainings=PLAN.path(layout.STUDY_TRAININGS),
        training_tests=PLAN.path(layout.STUDY_TRAINING_TESTS),
        correlations=PLAN.path(layout.STUDY_CORRELATIONS),
        ranks=PLAN.path(layout.STUDY_RANKS),
        beside=PLAN.path(layout.STUDY_BESIDE),
        sweeps=PLAN.path(layout.STUDY_SWEEPS),
        tuning=PLAN.path(layout.STUDY_TUNING),
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
        folder=PLAN.path(layout.STUDY_FOLDER),
        lesion_labels=lambda w: PLAN.report.lesion_labels(w),
        approaches=lambda w: PLAN.report.approaches(w.protocol),
        rule=lambda w: PLAN.scoring.primary_rule(w.protocol),
        orientation=STUDY.figures["orientation"],
        models=lambda w: PLAN.report.compared_names(w),
        tuned=lambda w: list(PLAN.report.compared_tuned(w).values()),
        published=lambda w: STUDY.protocols[w.protocol].citation,
        code=code("compare_approaches.py"),
    script:
        "../workflow_scripts/compare_approaches.py"


rule report:
    input:
        unpack(lambda w: PLAN.report.inputs()),
    output:
        PLAN.path(layout.REPORT),
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
        run=lambda w: PLAN.report.run_record(),
        results=lambda w, output: str(Path(output[0]).parent),
        embed=STUDY.report["embed"],
        code=code("report.py"),
    script:
        "../workflow_scripts/report.py"
