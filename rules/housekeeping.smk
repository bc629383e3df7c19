"""Room, and what stands there: what can be made again is removed, what is damaged is found."""

from time import strftime

# Rules that make no file have something to do whenever they are asked for. Snakemake takes a
# benchmark for what they make, so each time has one of its own.
NOW = strftime("%Y-%m-%dT%H%M%S")


rule clean_intermediates:
    log:
        log_file("clean_intermediates", "all"),
    benchmark:
        benchmark_file("clean_intermediates", NOW)
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        results=PLAN.layout.root,
        code=code("clean_intermediates.py"),
    script:
        "../workflow_scripts/clean_intermediates.py"


# `snakemake verify` reads every result. It is a target of its own: nothing depends on it.
rule verify:
    log:
        log_file("verify", "all"),
    benchmark:
        benchmark_file("verify", NOW)
    retries: 0
    conda:
        "../envs/imaging.yaml"
    threads: STUDY.threads
    resources:
        mem_mb=memory(1000),
        runtime=minutes(240),
    params:
        results=PLAN.layout.root,
        code=code("verify.py"),
    script:
        "../workflow_scripts/verify.py"


# A run that is killed leaves its jobs behind, which no lock of Snakemake's tells of.
onstart:
    if workflow.execution_settings.lock:
        try:
            refuse_second_run(PLAN.layout.root, "" if workflow.local_exec else Path.cwd())
        except NormscanError as error:
            raise WorkflowError(str(error)) from None


# A run of some stages only leaves what the next ones read.
onsuccess:
    complete = Path(PLAN.path(layout.REPORT)).exists() and not workflow.dag_settings.until
    if STUDY.intermediates == "remove" and complete:
        files, size = remove_intermediates(PLAN.layout.root)
        print(f"removed {files} intermediate files, {size / 1e6:.1f} MB")
    print(*results(log), sep="\n", flush=True)


onerror:
    print("Not all jobs succeeded: see above, and their logs in", PLAN.path(layout.LOGS))
    print("The same command goes on where this run stopped.")
    print(*result_lines([("Log", path) for path in log]), sep="\n", flush=True)
