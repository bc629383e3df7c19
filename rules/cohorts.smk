"""Which scans there are: simulate, check every file, split by subject."""


rule simulate:
    output:
        PLAN.path("simulated/{cohort}/{shard}.json"),
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
        scans=lambda w: [scan.subject for scan in PLAN.shards[w.cohort][w.shard]],
        settings=lambda w: PLAN.simulation_settings(w.cohort),
        folder=PLAN.path("simulated/{cohort}"),
        code=code("simulate.py"),
    script:
        "../workflow_scripts/simulate.py"


rule check_scans:
    input:
        scan_files,
    output:
        manifest=PLAN.path("preprocessed/raw/{cohort}/{shard}.json"),
        report=PLAN.path("checks/{cohort}/{shard}.json"),
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
        scans=lambda w: PLAN.scan_records(w.cohort, w.shard),
        role=lambda w: STUDY.cohorts[w.cohort].role,
        lesion_classes=lambda w: STUDY.cohorts[w.cohort].lesion_classes,
        contrasts=lambda w: PLAN.needed_contrasts(w.cohort),
        code=code("check_scans.py"),
    script:
        "../workflow_scripts/check_scans.py"


# Everything long waits for this one rule, but does not run again when it does: it looks at all
# cohorts together, and a new cohort must not make the others stale.
rule check_cohorts:
    input:
        reports=check_reports(PLAN.cohorts("healthy", "patients")),
    output:
        PLAN.path("cohorts/checked.json"),
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
        excluded={name: STUDY.excluded[name] for name in PLAN.cohorts("healthy", "patients")},
        code=code("check_cohorts.py"),
    script:
        "../workflow_scripts/check_cohorts.py"


# The other way round it looks at the study's cohorts: none of their scans may be screened.
rule check_screened_cohort:
    input:
        reports=lambda w: check_reports([w.cohort]),
        others=check_reports(PLAN.cohorts("healthy", "patients")),
    output:
        PLAN.path("cohorts/{cohort}/checked.json"),
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
        code=code("check_screened_cohort.py"),
    script:
        "../workflow_scripts/check_screened_cohort.py"


rule split_subjects:
    input:
        manifests=lambda w: PLAN.prepared("raw", w.cohort),
    output:
        PLAN.path("cohorts/{cohort}/subjects.tsv"),
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
        role=lambda w: STUDY.cohorts[w.cohort].role,
        seed=STUDY.split["seed"],
        validation=lambda w: STUDY.validation[w.cohort],
        previous=PLAN.path("cohorts/{cohort}/splits.json"),
        code=code("split_subjects.py"),
    script:
        "../workflow_scripts/split_subjects.py"
