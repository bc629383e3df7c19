"""Axial slices, resized, in one memory-mapped array per shard, with masks and an index beside it."""


rule pack_slices:
    input:
        unpack(passed_flags),
        manifest=PLAN.path(layout.PREPARED),
    output:
        slices=PLAN.path(layout.SLICES),
        brain=PLAN.path(layout.BRAIN),
        lesion=PLAN.path(layout.LESION),
        index=PLAN.path(layout.INDEX),
    log:
        log_file("pack_slices", "{chain}", "{pack}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("pack_slices", "{chain}", "{pack}", "{cohort}", "{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, per_scan=0.2),
    params:
        contrasts=lambda w: PLAN.preprocessing.pack_contrasts(w),
        settings=lambda w: PLAN.preprocessing.pack_settings(w),
        anatomy_classes=lambda w: PLAN.cohorts.anatomy_classes(w.cohort),
        fingerprint=lambda w: PLAN.preprocessing.fingerprint(w.chain),
        code=code("pack_slices.py"),
    script:
        "../workflow_scripts/pack_slices.py"
