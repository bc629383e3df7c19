"""Unlabelled cohorts through bundles trained before; nothing here trains anything."""


rule export_bundle:
    input:
        unpack(lambda w: PLAN.bundle_parts(w)),
        thresholds=PLAN.path(DETECTIONS, "thresholds.json"),
    output:
        PLAN.path(BUNDLE, "approach.json"),
    log:
        log_file("export_bundle", "{protocol}", "{variant}", "seed-{seed}"),
    benchmark:
        benchmark_file("export_bundle", "{protocol}", "{variant}", "seed-{seed}")
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        approach=lambda w: PLAN.approach_record(w.protocol, w.variant),
        fingerprint=lambda w: PLAN.pack_fingerprint(w.protocol),
        folder=PLAN.path(BUNDLE),
        code=code("export_bundle.py"),
    script:
        "../workflow_scripts/export_bundle.py"


# The bundle is no input but a parameter: an input could be made stale, and screening must never
# retrain. Its digest is a parameter too, so that a new bundle screens anew.
rule screen_scans:
    input:
        slices=lambda w: PLAN.pack_array(w),
        index=lambda w: PLAN.pack_index(w),
        checked=lambda w: ancient(PLAN.path("cohorts", w.cohort, "checked.json")),
    output:
        PLAN.path(SCREENING, "{shard}.json"),
    log:
        log_file("screen_scans", "{cohort}", "{protocol}", "{variant}", "seed-{seed}", "{shard}"),
    benchmark:
        benchmark_file(
            "screen_scans", "{cohort}", "{protocol}", "{variant}", "seed-{seed}", "{shard}"
        )
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=GPU,
        mem_mb=detection_memory(),
        runtime=minutes(60, per_scan=5),
    params:
        bundle=lambda w: PLAN.screening_bundle(w),
        bundle_digest=lambda w: PLAN.screening_bundle_digest(w),
        prior=lambda w: STUDY.cohorts[w.cohort].prior,
        contrast=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        on_bad_scan=STUDY.on_bad_scan,
        folder=PLAN.path(SCREENING),
        device=STUDY.device,
        code=lambda w: detector_code("screen_scans.py")(PLAN.screening_wildcards(w)),
    script:
        "../workflow_scripts/screen_scans.py"


rule screen_index:
    input:
        results=lambda w: PLAN.screened(w.cohort),
        checked=PLAN.path("cohorts/{cohort}/checked.json"),
    output:
        page=PLAN.path("screening/{cohort}/index.html"),
        table=PLAN.path("screening/{cohort}/components.tsv"),
    log:
        log_file("screen_index", "{cohort}"),
    benchmark:
        benchmark_file("screen_index", "{cohort}")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        prior=lambda w: STUDY.cohorts[w.cohort].prior,
        code=code("screen_index.py"),
    script:
        "../workflow_scripts/screen_index.py"
