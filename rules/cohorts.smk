"""Which scans there are: simulate, convert, paste lesions, check every file, split by subject."""


rule simulate:
    output:
        PLAN.path(layout.SIMULATED),
    log:
        log_file("simulate", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("simulate", "{cohort}", "{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(20, per_scan=1),
    params:
        scans=lambda w: PLAN.cohorts.subjects(w),
        settings=lambda w: PLAN.cohorts.simulation(w.cohort),
        folder=PLAN.path(layout.SIMULATED_FOLDER),
        code=code("simulate.py"),
    script:
        "../workflow_scripts/simulate.py"


rule convert_dicom:
    output:
        PLAN.path(layout.CONVERTED),
    log:
        log_file("convert_dicom", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("convert_dicom", "{cohort}", "{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_scan=2),
    params:
        sources=lambda w: PLAN.cohorts.dicom_sources(w),
        series=lambda w: STUDY.dicom[w.cohort].series,
        folder=PLAN.path(layout.CONVERTED_FOLDER),
        code=code("convert_dicom.py"),
    script:
        "../workflow_scripts/convert_dicom.py"


rule paste_anomalies:
    input:
        lambda w: PLAN.cohorts.pasted_files(w),
    output:
        manifest=PLAN.path(layout.SYNTHETIC),
        pairs=PLAN.path(layout.SYNTHETIC_PAIRS),
    log:
        log_file("paste_anomalies", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("paste_anomalies", "{cohort}", "{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(3000, per_file_mb=60),
        runtime=minutes(20, per_scan=4),
    params:
        scans=lambda w: PLAN.cohorts.scan_records(w),
        pastes=lambda w: PLAN.cohorts.paste_records(w),
        settings=lambda w: PLAN.cohorts.pasting(w.cohort),
        atlases=STUDY.atlases,
        folder=PLAN.path(layout.SYNTHETIC_FOLDER),
        code=code("paste_anomalies.py"),
    script:
        "../workflow_scripts/paste_anomalies.py"


rule check_scans:
    input:
        lambda w: PLAN.cohorts.scan_files(w),
    output:
        manifest=PLAN.path(layout.RAW_SCANS),
        report=PLAN.path(layout.CHECK),
    log:
        log_file("check_scans", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("check_scans", "{cohort}", "{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000, per_file_mb=30),
        runtime=minutes(10, per_scan=0.2),
    params:
        scans=lambda w: PLAN.cohorts.scan_records(w),
        role=lambda w: PLAN.cohorts.roles[w.cohort],
        lesion_classes=lambda w: STUDY.cohorts[w.cohort].lesion_classes,
        ignored_labels=lambda w: list(STUDY.cohorts[w.cohort].ignored_labels),
        anatomy_classes=lambda w: PLAN.cohorts.anatomy_classes(w.cohort),
        contrasts=lambda w: PLAN.cohorts.needed_contrasts(w.cohort),
        skull_stripped=lambda w: STUDY.cohorts[w.cohort].skull_stripped,
        synthetic=lambda w: w.cohort in STUDY.synthetic,
        converted=lambda w: w.cohort in STUDY.dicom,
        code=code("check_scans.py"),
    script:
        "../workflow_scripts/check_scans.py"


# Everything long waits for this one rule, but does not run again when it does: it looks at all
# cohorts together, and a new cohort must not make the others stale.
rule check_cohorts:
    input:
        reports=PLAN.cohorts.checks(PLAN.cohorts.named("healthy", "patients")),
    output:
        PLAN.path(layout.CHECKED),
    log:
        log_file("check_cohorts", "all"),
    benchmark:
        benchmark_file("check_cohorts", "all")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        on_bad_scan=STUDY.on_bad_scan,
        excluded={name: STUDY.excluded[name] for name in PLAN.cohorts.named("healthy", "patients")},
        odd=PLAN.cohorts.odd(PLAN.cohorts.named("healthy", "patients")),
        needed_atlases=PLAN.preprocessing.needed_atlases(),
        atlases=STUDY.atlases,
        code=code("check_cohorts.py"),
    script:
        "../workflow_scripts/check_cohorts.py"


# The other way round it looks at the study's cohorts: none of their scans may be screened.
rule check_screened_cohort:
    input:
        reports=lambda w: PLAN.cohorts.checks([w.cohort]),
        others=PLAN.cohorts.checks(PLAN.cohorts.named("healthy", "patients")),
    output:
        PLAN.path(layout.CHECKED_SCREENED),
    log:
        log_file("check_screened_cohort", "{cohort}"),
    benchmark:
        benchmark_file("check_screened_cohort", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        on_bad_scan=STUDY.on_bad_scan,
        excluded=lambda w: {w.cohort: STUDY.excluded.get(w.cohort, {})},
        odd=lambda w: PLAN.cohorts.odd([w.cohort]),
        needed_atlases=PLAN.preprocessing.needed_atlases(),
        atlases=STUDY.atlases,
        code=code("check_screened_cohort.py"),
    script:
        "../workflow_scripts/check_screened_cohort.py"


rule split_subjects:
    input:
        manifests=lambda w: PLAN.preprocessing.prepared(layout.RAW, w.cohort),
    output:
        PLAN.path(layout.SUBJECTS),
    log:
        log_file("split_subjects", "{cohort}"),
    benchmark:
        benchmark_file("split_subjects", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        role=lambda w: PLAN.cohorts.roles[w.cohort],
        seed=STUDY.split["seed"],
        validation=lambda w: STUDY.validation[w.cohort],
        training=lambda w: STUDY.training[w.cohort],
        previous=PLAN.path(layout.SPLITS),
        code=code("split_subjects.py"),
    script:
        "../workflow_scripts/split_subjects.py"
