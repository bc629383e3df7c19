"""Sign prior, eroded mask, median, thresholds, components, and back to native space."""


rule filter_maps:
    input:
        maps=lambda w: PLAN.detection.map_manifest(w),
        index=lambda w: PLAN.preprocessing.index(w),
    output:
        manifest=PLAN.path(layout.FILTERED),
        histograms=PLAN.path(layout.HISTOGRAMS),
        residuals=PLAN.path(layout.RESIDUALS),
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
    wildcard_constraints:
        variant=PLAN.fusing.other_variants(),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, per_scan=0.5),
    params:
        erosion=lambda w: PLAN.scoring.postprocessing(w)["erosion"],
        median=lambda w: PLAN.scoring.postprocessing(w)["median"],
        lesion_labels=lambda w: PLAN.cohorts.lesion_labels(w.cohort),
        lesion_classes=lambda w: PLAN.cohorts.lesion_classes(w.cohort),
        prior=lambda w: PLAN.scoring.applied_prior(w),
        code=code("filter_maps.py"),
    script:
        "../workflow_scripts/filter_maps.py"


rule find_thresholds:
    input:
        healthy=lambda w: PLAN.scoring.healthy_histograms(w),
        patients=lambda w: PLAN.scoring.validation_histograms(w),
        subjects=lambda w: PLAN.scoring.calibration_subjects(w),
    output:
        rules=PLAN.path(layout.THRESHOLDS),
        froc=PLAN.path(layout.FROC_THRESHOLDS),
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
        rules=lambda w: PLAN.scoring.rule_records(w.protocol),
        priors=lambda w: PLAN.cohorts.priors(w.protocol),
        healthy_cohorts=lambda w: PLAN.cohorts.healthy(w.protocol),
        patient_priors=lambda w: PLAN.scoring.calibration_priors(w.protocol),
        code=code("find_thresholds.py"),
    script:
        "../workflow_scripts/find_thresholds.py"


# Detections in scans that another model is trained on; no label of a patient has any part in them.
rule pseudo_label:
    input:
        maps=lambda w: PLAN.teaching.maps(w),
        index=lambda w: PLAN.preprocessing.index(w),
        subjects=PLAN.path(layout.SUBJECTS),
        healthy=lambda w: PLAN.teaching.healthy_histograms(w),
        healthy_subjects=lambda w: PLAN.cohorts.splits(PLAN.cohorts.healthy(w.protocol)),
    output:
        PLAN.path(layout.PSEUDO_LABELS),
    log:
        log_file(
            "pseudo_label",
            "{protocol}",
            "{variant}",
            "seed-{seed}",
            "{threshold_rule}",
            "{cohort}",
            "{shard}",
        ),
    benchmark:
        benchmark_file(
            "pseudo_label",
            "{protocol}",
            "{variant}",
            "seed-{seed}",
            "{threshold_rule}",
            "{cohort}",
            "{shard}",
        )
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_scan=0.5),
    params:
        rule=lambda w: PLAN.teaching.rule(w),
        healthy_cohorts=lambda w: PLAN.cohorts.healthy(w.protocol),
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        applied_prior=lambda w: PLAN.teaching.applied_prior(w),
        postprocessing=lambda w: PLAN.scoring.postprocessing(w),
        code=code("pseudo_label.py"),
    script:
        "../workflow_scripts/pseudo_label.py"


rule segment:
    input:
        filtered=lambda w: PLAN.scoring.filtered(w),
        index=lambda w: PLAN.preprocessing.index(w),
        thresholds=PLAN.path(layout.THRESHOLDS),
        froc=PLAN.path(layout.FROC_THRESHOLDS),
    output:
        manifest=PLAN.path(layout.DETECTED),
        scores=PLAN.path(layout.SCORES),
        froc=PLAN.path(layout.FROC_SCORES),
        slices=PLAN.path(layout.SLICE_AREAS),
        components=PLAN.path(layout.COMPONENTS),
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
        prior=lambda w: PLAN.cohorts.prior(w.cohort),
        minimum_voxels=lambda w: PLAN.scoring.postprocessing(w)["minimum_voxels"],
        primary=lambda w: PLAN.scoring.primary_rule(w.protocol),
        contrast=lambda w: STUDY.protocols[w.protocol].contrasts[0],
        lesion_labels=lambda w: PLAN.cohorts.lesion_labels(w.cohort),
        volumes=STUDY.volumes,
        folder=PLAN.path(layout.DETECTED_FOLDER),
        code=code("segment.py"),
    script:
        "../workflow_scripts/segment.py"
