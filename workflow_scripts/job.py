"""What every script does around its own work: threads, log, one clear line on errors."""

import os

# Before anything imports ITK: with more threads, registrations differ from run to run.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import logging
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module

from normscan.errors import NormscanError
from normscan.files import placed
from normscan.progress import Seldom, duration

# By name: what is written down of jobs changes no result, so its code makes none of them stale.
LAYOUT, DIGESTS, RUNNING, FAULTS = (
    import_module(f"normscan.{name}") for name in ("layout", "digests", "running", "faults")
)
LOG = logging.getLogger("normscan")
# What tells jobs of a rule apart, without the long names of chains and packs.
TELLING = ("model", "approach", "variant", "step", "seed", "cohort", "shard")


def run(snakemake, main: Callable) -> None:
    """Call ``main(snakemake)`` with logging to the rule's log; the terminal gets what matters.

    What it made is written down (``normscan.digests``), and while it runs, that it does
    (``normscan.running``). A :class:`NormscanError` or a fault of the machine ends the job with its
    message and no stack trace.
    """
    results, job = place(snakemake)
    start = time.monotonic()
    try:
        listen(snakemake)
        if results:
            with RUNNING.at_work(results, name(snakemake), f"{snakemake.rule}/{job}"):
                main(snakemake)
                DIGESTS.write_record(results, snakemake.rule, job, snakemake.output, placed())
        else:
            main(snakemake)
    except Exception as error:
        if is_told(snakemake, error):
            sys.exit(1)
        raise
    LOG.info("done in %s", duration(time.monotonic() - start))


def listen(snakemake) -> None:
    """Let the rule's log take every line, and the terminal those that matter."""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.addFilter(Seldom())
    label = name(snakemake).replace("%", "%%")
    terminal.setFormatter(logging.Formatter(f"{label}: %(levelname)s %(message)s"))
    # A line that a full disk does not take must not hide why the job ends.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.INFO, handlers=[terminal])
    for noisy in ("matplotlib", "fontTools", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if snakemake.log:
        os.makedirs(os.path.dirname(snakemake.log[0]), exist_ok=True)
        file = logging.FileHandler(snakemake.log[0], mode="w")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger().addHandler(file)


def is_told(snakemake, error: Exception) -> bool:
    """Log why a job failed, and what of its inputs is damaged; whether that says all."""
    fault = FAULTS.is_machine_fault(error, place(snakemake)[0])
    if isinstance(error, NormscanError):
        LOG.error("%s", error)
    elif fault:
        LOG.error("%s: %s; %s", type(error).__name__, error, FAULTS.WHAT_TO_DO)
    else:
        LOG.exception("unexpected error")
    makes = getattr(snakemake, "output", None)
    if makes and not fault and (damaged := damaged_files(snakemake, snakemake.input)):
        LOG.error("%s", damaged)
    return fault or isinstance(error, NormscanError)


def damaged_files(snakemake, files: Iterable[str]) -> str:
    """What is damaged of files, and of all that was made with them; empty where nothing is.

    Sizes of all other results are looked at as well: what a list names may be damaged itself.
    """
    results, job = place(snakemake)
    if not results:
        return ""
    busy = {*RUNNING.busy(results), f"{snakemake.rule}/{job}"}
    found, _ = DIGESTS.damages(results, files, busy)
    return DIGESTS.damage_lines(found) if found else ""


def remove_former(snakemake) -> None:
    """Remove what this job wrote last time and not now: pages of scans that have left."""
    results, job = place(snakemake)
    if results:
        DIGESTS.remove_former(results, snakemake.rule, job, placed())


def place(snakemake) -> tuple[str, str]:
    """Folder of results, and the job's place below those of its rule; "" twice without a log."""
    return LAYOUT.job_of_log(snakemake.rule, snakemake.log[0]) if snakemake.log else ("", "")


def name(snakemake) -> str:
    """A job's name at the terminal, where many jobs speak: ``train vae 0``."""
    wildcards = dict(snakemake.wildcards.items())
    return " ".join([snakemake.rule, *(wildcards[key] for key in TELLING if key in wildcards)])
