"""Axial slices, resized, in one memory-mapped array per shard, with masks and an index beside it."""


rule pack_slices:
    input:
        manifest=PLAN.path("preprocessed/{chain}/{cohort}/{shard}.json"),
    output:
        slices=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.npy"),
        brain=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.brain.npy"),
        lesion=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.lesion.npy"),
        index=PLAN.path("slices/{chain}/{pack}/{cohort}/{shard}.json"),
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
        contrasts=lambda w: list(PLAN.packs[w.chain, w.pack].contrasts),
        settings=lambda w: PLAN.packs[w.chain, w.pack].slices,
        fingerprint=lambda w: PLAN.preprocessing_fingerprint(w.chain),
        code=code("pack_slices.py"),
    script:
        "../workflow_scripts/pack_slices.py"
