"""Room: `snakemake clean_intermediates` removes what can be made again, and never a result."""


rule clean_intermediates:
    log:
        log_file("clean_intermediates", "all"),
    benchmark:
        benchmark_file("clean_intermediates", "all")
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
