"""One training job per model, training set and seed."""


# Checkpoints are not declared: Snakemake removes the declared outputs of a failed job, and a job
# that was killed is to go on where it stopped.
rule train:
    input:
        packs=training_packs,
        subjects=training_subjects,
    output:
        weights=PLAN.path(MODEL, "weights.safetensors"),
        bundle=PLAN.path(MODEL, "bundle.json"),
        curve=PLAN.path(MODEL, "curve.tsv"),
        figure=multiext(PLAN.path(MODEL, "curve"), ".png", ".svg"),
    log:
        log_file("train", "{chain}", "{pack}", "{training}", "{model}", "seed-{seed}"),
    benchmark:
        benchmark_file("train", "{chain}", "{pack}", "{training}", "{model}", "seed-{seed}")
    conda:
        "../envs/learning.yaml"
    threads: STUDY.threads
    resources:
        gpu=GPU,
        mem_mb=memory(4000, packs=True),
        runtime=minutes(240, per_scan=1),
    params:
        cohorts=lambda w: PLAN.training_members(w.training)[0],
        share=lambda w: PLAN.training_members(w.training)[1],
        split_seed=STUDY.split["seed"],
        family=lambda w: PLAN.model(w.model).family,
        settings=lambda w: PLAN.model(w.model).settings,
        device=STUDY.device,
        checkpoints=PLAN.path("checkpoints"),
        code=lambda w: fingerprint("train.py", *model_modules(w.model)),
    script:
        "../workflow_scripts/train.py"
