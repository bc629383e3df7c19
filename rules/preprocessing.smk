"""One rule per preprocessing step; a protocol chooses the steps and their order.

The wildcard ``parent`` is the chain of steps done before, ``step`` the label of the rule's own step
with its settings: ``raw+register-affine-robex+strip_skull-robex``. What two protocols have in common
at the start of their chains is done once.
"""


rule register:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
        checked=gate,
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("register", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("register", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="register[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000, per_file_mb=100),
        runtime=minutes(60, per_scan=5),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        context=lambda w: PLAN.preprocessing.context(w.cohort),
        atlases=STUDY.atlases,
        on_bad_scan=STUDY.on_bad_scan,
        code=code("register.py"),
    script:
        "../workflow_scripts/register.py"


rule strip_skull:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("strip_skull", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("strip_skull", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="strip_skull[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(2000, per_file_mb=100),
        runtime=minutes(60, per_scan=5),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        context=lambda w: PLAN.preprocessing.context(w.cohort),
        atlases=STUDY.atlases,
        on_bad_scan=STUDY.on_bad_scan,
        code=code("strip_skull.py"),
    script:
        "../workflow_scripts/strip_skull.py"


rule find_body:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("find_body", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("find_body", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="find_body[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500, per_file_mb=100),
        runtime=minutes(20, per_scan=0.5),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        context=lambda w: PLAN.preprocessing.context(w.cohort),
        on_bad_scan=STUDY.on_bad_scan,
        code=code("find_body.py"),
    script:
        "../workflow_scripts/find_body.py"


rule correct_bias:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("correct_bias", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("correct_bias", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="correct_bias[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500, per_file_mb=50),
        runtime=minutes(30, per_scan=2),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        on_bad_scan=STUDY.on_bad_scan,
        code=code("correct_bias.py"),
    script:
        "../workflow_scripts/correct_bias.py"


rule denoise:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("denoise", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("denoise", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="denoise[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500, per_file_mb=50),
        runtime=minutes(20, per_scan=0.5),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        on_bad_scan=STUDY.on_bad_scan,
        code=code("denoise.py"),
    script:
        "../workflow_scripts/denoise.py"


rule normalise:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("normalise", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("normalise", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="normalise[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500, per_file_mb=50),
        runtime=minutes(20, per_scan=0.5),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        on_bad_scan=STUDY.on_bad_scan,
        code=code("normalise.py"),
    script:
        "../workflow_scripts/normalise.py"


rule match_histogram:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
        reference=lambda w: PLAN.preprocessing.histogram_reference(w),
        # Looked at, and no reason to match again: it changes with every further subject.
        subjects=lambda w: ancient(PLAN.preprocessing.histogram_subjects(w)),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("match_histogram", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("match_histogram", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="match_histogram[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500, per_file_mb=50),
        runtime=minutes(20, per_scan=0.5),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        role=lambda w: PLAN.cohorts.roles[w.cohort],
        on_bad_scan=STUDY.on_bad_scan,
        code=code("match_histogram.py"),
    script:
        "../workflow_scripts/match_histogram.py"


rule segment_tissue:
    input:
        manifest=PLAN.path(layout.BEFORE_STEP),
    output:
        PLAN.path(layout.AFTER_STEP),
    log:
        log_file("segment_tissue", "{parent}+{step}", "{cohort}", "{shard}"),
    benchmark:
        benchmark_file("segment_tissue", "{parent}+{step}", "{cohort}", "{shard}")
    wildcard_constraints:
        step="segment_tissue[^/+]*",
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1500, per_file_mb=50),
        runtime=minutes(30, per_scan=2),
    params:
        settings=lambda w: PLAN.preprocessing.settings(w),
        contrasts=lambda w: PLAN.preprocessing.contrasts(w),
        on_bad_scan=STUDY.on_bad_scan,
        code=code("segment_tissue.py"),
    script:
        "../workflow_scripts/segment_tissue.py"
