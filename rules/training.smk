"""One training job per model, training set and seed."""


# Checkpoints are not declared: Snakemake removes the declared outputs of a failed job, and a job
# that was killed is to go on where it stopped.
rule train:
    input:
        unpack(lambda w: PLAN.training.used_by_model(w)),
        unpack(lambda w: PLAN.teaching.labels(w)),
        packs=lambda w: PLAN.training.packs(w),
        subjects=lambda w: PLAN.training.subjects(w),
    output:
        weights=PLAN.path(layout.WEIGHTS),
        bundle=PLAN.path(layout.BUNDLE),
        curve=PLAN.path(layout.CURVE),
        figure=multiext(PLAN.path(layout.CURVE_FIGURE), ".png", ".svg"),
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
        runtime=minutes(240, per_scan=1, cost=lambda w: PLAN.training.cost(w.model)),
    params:
        streams=lambda w: PLAN.training.streams(w),
        share=lambda w: PLAN.training.sets[w.training].share,
        split_seed=STUDY.split["seed"],
        inputs=lambda w: PLAN.training.inputs(w),
        targets=lambda w: PLAN.training.targets(w),
        neighbours=lambda w: PLAN.training.models[w.model].neighbours,
        uses=lambda w: list(PLAN.training.models[w.model].uses),
        family=lambda w: PLAN.training.models[w.model].family,
        settings=lambda w: PLAN.training.models[w.model].settings,
        augmentation=lambda w: PLAN.training.models[w.model].augmentation,
        device=STUDY.device,
        checkpoints=PLAN.path(layout.CHECKPOINTS),
        code=lambda w: fingerprint("train.py", *PLAN.training.training_modules(w.model)),
    script:
        "../workflow_scripts/train.py"
