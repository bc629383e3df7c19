"""Unlabelled cohorts through bundles trained before; nothing here trains anything."""


rule export_bundle:
    input:
        unpack(lambda w: PLAN.screening.parts(w)),
        thresholds=PLAN.path(layout.THRESHOLDS),
        healthy=lambda w: PLAN.scoring.healthy_histograms(w),
        packs=lambda w: PLAN.screening.healthy_packs(w),
        subjects=lambda w: PLAN.cohorts.splits(PLAN.cohorts.whole(w.protocol)),
    output:
        PLAN.path(layout.EXPORTED),
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
        approach=lambda w: PLAN.screening.approach_record(w),
        fused=lambda w: PLAN.screening.fused(w),
        priors=lambda w: PLAN.cohorts.priors(w.protocol),
        uses=lambda w: PLAN.screening.uses(w),
        healthy_cohorts=lambda w: PLAN.cohorts.whole(w.protocol),
        ages=lambda w: PLAN.screening.ages(w),
        fingerprint=lambda w: PLAN.preprocessing.pack_fingerprint(w.protocol),
        folder=PLAN.path(layout.EXPORTED_FOLDER),
        code=code("export_bundle.py"),
    script:
        "../workflow_scripts/export_bundle.py"


# The bundle is no input but a parameter: an input could be made stale, and screening must never
# retrain. Its digest is a parameter too, so that a new bundle screens anew.
rule screen_scans:
    input:
        slices=lambda w: PLAN.preprocessing.slices(w),
        index=lambda w: PLAN.preprocessing.index(w),
        checked=gate,
    output:
        PLAN.path(layout.SCREENED),
    log:
        log_file("screen_scans", "{cohort}", "{protocol}", "{variant}", "seed-{seed}", "{shard}"),
    benchmark:
        benchmark_file(
            "screen_scans", "{cohort}", "{protocol}", "{variant}", "seed-{seed}", "{shard}"
        )
    wildcard_constraints:
        variant=PLAN.screening.other_variants(),
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=GPU,
        mem_mb=detection_memory(),
        runtime=minutes(60, per_scan=5, cost=lambda w: PLAN.screening.cost(w)),
    params:
        bundle=lambda w: PLAN.screening.bundle(w),
        bundle_digest=lambda w: PLAN.screening.bundle_digest(w),
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        contrast=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        on_bad_scan=STUDY.on_bad_scan,
        folder=PLAN.path(layout.SCREENING_FOLDER),
        device=STUDY.device,
        code=lambda w: fingerprint("screen_scans.py", *PLAN.screening.modules(w)),
    script:
        "../workflow_scripts/screen_scans.py"


# In place of screen_scans, which makes the same of every other variant.
rule screen_fused:
    input:
        screened=lambda w: PLAN.screening.part_results(w),
        slices=lambda w: PLAN.preprocessing.slices(w),
        index=lambda w: PLAN.preprocessing.index(w),
    output:
        PLAN.path(layout.SCREENED),
    log:
        log_file("screen_fused", "{cohort}", "{protocol}", "{variant}", "seed-{seed}", "{shard}"),
    benchmark:
        benchmark_file(
            "screen_fused", "{cohort}", "{protocol}", "{variant}", "seed-{seed}", "{shard}"
        )
    wildcard_constraints:
        variant=PLAN.screening.fused_variants(),
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=lambda w, attempt: memory(1500 + 150 * len(PLAN.screening.part_results(w)))(
            w, attempt
        ),
        runtime=minutes(20, per_scan=0.5),
    params:
        bundle=lambda w: PLAN.screening.bundle(w),
        bundle_digest=lambda w: PLAN.screening.bundle_digest(w),
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        contrast=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        folder=PLAN.path(layout.SCREENING_FOLDER),
        code=code("screen_fused.py"),
    script:
        "../workflow_scripts/screen_fused.py"


rule screen_index:
    input:
        results=lambda w: PLAN.screening.screened(w),
        quality=lambda w: PLAN.screening.quality(w.cohort),
        checked=PLAN.path(layout.CHECKED_SCREENED),
    output:
        page=PLAN.path(layout.SCREENING_PAGE),
        table=PLAN.path(layout.SCREENING_COMPONENTS),
        scans=PLAN.path(layout.SCREENING_SCANS),
        viewer=PLAN.path(layout.SCREENING_VIEWER),
    log:
        log_file("screen_index", "{cohort}"),
    benchmark:
        benchmark_file("screen_index", "{cohort}")
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        orientation=STUDY.figures["orientation"],
        report=PLAN.screening.report(),
        bundles=PLAN.path(layout.SCREENING_BUNDLES),
        code=code("screen_index.py"),
    script:
        "../workflow_scripts/screen_index.py"
