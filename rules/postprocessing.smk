"""Sign prior, eroded mask, median, thresholds, components, and back to native space."""


rule filter_maps:
    input:
        maps=lambda w: PLAN.map_manifest(w),
        index=lambda w: PLAN.pack_index(w),
    output:
        manifest=PLAN.path(DETECTIONS, "filtered-{prior}/{cohort}/{shard}.json"),
        histograms=PLAN.path(DETECTIONS, "filtered-{prior}/{cohort}/{shard}.npz"),
        residuals=PLAN.path(DETECTIONS, "filtered-{prior}/{cohort}/{shard}-residuals.json"),
    log:
        log_file(
            "filter_maps",
            "{protocol}",
            "{variant}",
            "seed-{seed}",
            "{prior}",
            "{cohort}",
            "{shard}",
        ),
    benchmark:
        benchmark_file(
            "filter_maps",
            "{protocol}",
            "{variant}",
            "seed-{seed}",
            "{prior}",
            "{cohort}",
            "{shard}",
        )
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, per_scan=0.5),
    params:
        erosion=lambda w: STUDY.protocols[w.protocol].postprocessing["erosion"],
        median=lambda w: STUDY.protocols[w.protocol].postprocessing["median"],
        lesion_labels=lambda w: PLAN.lesion_labels(w.cohort),
        signed=lambda w: PLAN.is_signed(w.variant),
        code=code("filter_maps.py"),
    script:
        "../workflow_scripts/filter_maps.py"


rule find_thresholds:
    input:
        healthy=lambda w: PLAN.healthy_histograms(w),
        patients=lambda w: PLAN.validation_histograms(w),
        subjects=lambda w: PLAN.calibration_subjects(w),
    output:
        rules=PLAN.path(DETECTIONS, "thresholds.json"),
        froc=PLAN.path(DETECTIONS, "froc_thresholds.json"),
    log:
        log_file("find_thresholds", "{protocol}", "{variant}", "seed-{seed}"),
    benchmark:
        benchmark_file("find_thresholds", "{protocol}", "{variant}", "seed-{seed}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        rules=lambda w: PLAN.rule_records(w.protocol),
        priors=lambda w: PLAN.priors(w.protocol),
        healthy_cohorts=lambda w: PLAN.training_cohorts(w.protocol),
        patient_priors=lambda w: PLAN.calibration_priors(w.protocol),
        code=code("find_thresholds.py"),
    script:
        "../workflow_scripts/find_thresholds.py"


rule segment:
    input:
        filtered=lambda w: PLAN.filtered_manifest(w),
        index=lambda w: PLAN.pack_index(w),
        thresholds=PLAN.path(DETECTIONS, "thresholds.json"),
        froc=PLAN.path(DETECTIONS, "froc_thresholds.json"),
    output:
        manifest=PLAN.path(DETECTIONS, "detected/{cohort}/{shard}.json"),
        scores=PLAN.path(DETECTIONS, "detected/{cohort}/{shard}.tsv"),
        froc=PLAN.path(DETECTIONS, "detected/{cohort}/{shard}-froc.tsv"),
        components=PLAN.path(DETECTIONS, "detected/{cohort}/{shard}-components.tsv"),
    log:
        log_file("segment", "{protocol}", "{variant}", "seed-{seed}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("segment", "{protocol}", "{variant}", "seed-{seed}", "{cohort}", "{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(20, per_scan=1),
    params:
        prior=lambda w: STUDY.cohorts[w.cohort].prior,
        minimum_voxels=lambda w: STUDY.protocols[w.protocol].postprocessing["minimum_voxels"],
        primary=lambda w: STUDY.protocols[w.protocol].rules[0].label,
        contrast=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        lesion_labels=lambda w: PLAN.lesion_labels(w.cohort),
        volumes=STUDY.volumes,
        folder=PLAN.path(DETECTIONS, "detected/{cohort}"),
        code=code("segment.py"),
    script:
        "../workflow_scripts/segment.py"
