"""Pages of test patients."""


rule patient_pages:
    input:
        unpack(lambda w: PLAN.patients.files(w)),
    output:
        page=PLAN.path(layout.PATIENTS_PAGE),
        viewer=PLAN.path(layout.PATIENTS_VIEWER),
    log:
        log_file("patient_pages", "{protocol}", "{cohort}"),
    benchmark:
        benchmark_file("patient_pages", "{protocol}", "{cohort}")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(120),
    params:
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        lesion_labels=lambda w: PLAN.cohorts.lesion_labels(w.cohort),
        approaches=lambda w: PLAN.patients.approaches(w),
        orientation=STUDY.figures["orientation"],
        report=PLAN.patients.report(),
        code=code("patient_pages.py"),
    script:
        "../workflow_scripts/patient_pages.py"
