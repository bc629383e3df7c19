"""Anomaly maps: one job per model, detector, seed and shard of a cohort."""


MAPS = "maps/{chain}/{pack}/{training}/{approach}/seed-{seed}"


def approach_model(wildcards):
    """Weights and description of an approach's model; nothing for a model-free approach."""
    model = PLAN.approach(wildcards.approach).model
    if model == "none":
        return {}
    folder = PLAN.path(MODEL.format(**{**dict(wildcards.items()), "model": model}))
    return {"weights": f"{folder}/weights.safetensors", "bundle": f"{folder}/bundle.json"}


def tuned_settings(wildcards):
    """Detector settings that are found on healthy scans first, when any is ``auto``."""
    if "auto" in PLAN.approach(wildcards.approach).settings.values():
        return {"tuned": PLAN.path(MAPS.format(**dict(wildcards.items())), "tuned.json")}
    return {}


def detector_code(script):
    """Fingerprint of a detection script with the model's and the detector's own modules."""

    def of(wildcards):
        approach = PLAN.approach(wildcards.approach)
        modules = [f"normscan.detectors.{approach.detector}"]
        if approach.model != "none":
            modules.append(f"normscan.models.{PLAN.model(approach.model).family}")
        return code(script, *modules)

    return of


rule tune_detector:
    input:
        unpack(approach_model),
        packs=training_packs,
        subjects=training_subjects,
    output:
        tuned=PLAN.path(MAPS, "tuned.json"),
    params:
        detector=lambda w: PLAN.approach(w.approach).detector,
        settings=lambda w: PLAN.approach(w.approach).settings,
        device=STUDY.device,
        code=detector_code("tune_detector.py"),
    log:
        log_file("tune_detector", "{chain}", "{pack}", "{training}", "{approach}", "seed-{seed}"),
    benchmark:
        benchmark_file(
            "tune_detector", "{chain}", "{pack}", "{training}", "{approach}", "seed-{seed}"
        )
    threads: STUDY.threads
    resources:
        gpu=GPU,
        mem_mb=memory(4000),
        runtime=minutes(240),
    conda:
        "../envs/learning.yaml"
    script:
        "../workflow_scripts/tune_detector.py"


def chosen_scans(wildcards):
    """Splits of a healthy cohort, of which only validation subjects get maps."""
    if STUDY.cohorts[wildcards.cohort].role == "healthy":
        return {"subjects": PLAN.path("cohorts", wildcards.cohort, "subjects.tsv")}
    return {}


rule detect:
    input:
        unpack(approach_model),
        unpack(tuned_settings),
        unpack(chosen_scans),
        slices=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.npy"),
        index=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.json"),
    output:
        PLAN.path(MAPS, "{cohort}/{shard}.json"),
    params:
        detector=lambda w: PLAN.approach(w.approach).detector,
        settings=lambda w: PLAN.approach(w.approach).settings,
        folder=PLAN.path(MAPS, "{cohort}"),
        device=STUDY.device,
        code=detector_code("detect.py"),
    log:
        log_file(
            "detect",
            "{chain}",
            "{pack}",
            "{training}",
            "{approach}",
            "seed-{seed}",
            "{cohort}",
            "{shard}",
        ),
    benchmark:
        benchmark_file(
            "detect",
            "{chain}",
            "{pack}",
            "{training}",
            "{approach}",
            "seed-{seed}",
            "{cohort}",
            "{shard}",
        )
    threads: STUDY.threads
    resources:
        gpu=lambda w: 0 if PLAN.approach(w.approach).model == "none" else GPU,
        mem_mb=memory(4000),
        runtime=minutes(240),
    conda:
        "../envs/learning.yaml"
    script:
        "../workflow_scripts/detect.py"
