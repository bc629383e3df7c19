"""Approaches that are fused of others: their filtered maps from those of their parts."""


# Of a part: what its maps are compared with, whichever approaches it is fused into.
rule count_healthy:
    input:
        filtered=lambda w: PLAN.fusing.healthy_maps(w),
        subjects=lambda w: PLAN.fusing.healthy_subjects(w),
    output:
        PLAN.path(layout.HEALTHY_SCORES),
    log:
        log_file("count_healthy", "{protocol}", "{variant}", "seed-{seed}", "{prior}"),
    benchmark:
        benchmark_file("count_healthy", "{protocol}", "{variant}", "seed-{seed}", "{prior}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        cohorts=lambda w: PLAN.cohorts.healthy(w.protocol),
        erosion=lambda w: PLAN.scoring.postprocessing(w)["erosion"],
        code=code("count_healthy.py"),
    script:
        "../workflow_scripts/count_healthy.py"


# In place of filter_maps, which makes the same files of every other variant.
rule fuse_maps:
    input:
        filtered=lambda w: PLAN.fusing.filtered(w),
        healthy=lambda w: PLAN.fusing.healthy(w),
        index=lambda w: PLAN.preprocessing.index(w),
    output:
        manifest=PLAN.path(layout.FILTERED),
        histograms=PLAN.path(layout.HISTOGRAMS),
        residuals=PLAN.path(layout.RESIDUALS),
    log:
        log_file(
            "fuse_maps",
            "{protocol}",
            "{variant}",
            "seed-{seed}",
            "{prior}",
            "{cohort}",
            "{shard}",
        ),
    benchmark:
        benchmark_file(
            "fuse_maps",
            "{protocol}",
            "{variant}",
            "seed-{seed}",
            "{prior}",
            "{cohort}",
            "{shard}",
        )
    wildcard_constraints:
        variant=PLAN.fusing.variants(),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=lambda w, attempt: memory(1500 + 150 * len(PLAN.fusing.jobs(w)))(w, attempt),
        runtime=minutes(20, per_scan=0.5),
    params:
        fused=lambda w: PLAN.fusing.parts(w),
        settings=lambda w: PLAN.fusing.settings(w),
        combine=lambda w: PLAN.fusing.combine(w),
        erosion=lambda w: PLAN.scoring.postprocessing(w)["erosion"],
        lesion_labels=lambda w: PLAN.cohorts.lesion_labels(w.cohort),
        lesion_classes=lambda w: PLAN.cohorts.lesion_classes(w.cohort),
        code=code("fuse_maps.py"),
    script:
        "../workflow_scripts/fuse_maps.py"
