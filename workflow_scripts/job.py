"""What every script does around its own work: threads, log, one clear line on errors."""

import os

# Before anything imports ITK: with more threads, registrations differ from run to run.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import logging
import sys
import time
from collections.abc import Callable

from normscan.errors import NormscanError
from normscan.progress import Seldom, duration

LOG = logging.getLogger("normscan")
# What tells jobs of a rule apart, without the long names of chains and packs.
TELLING = ("model", "approach", "variant", "step", "seed", "cohort", "shard")


def run(snakemake, main: Callable) -> None:
    """Call ``main(snakemake)`` with logging to the rule's log; the terminal gets what matters.

    A :class:`NormscanError` ends the job with its message and no stack trace.
    """
    terminal = logging.StreamHandler(sys.stderr)
    terminal.addFilter(Seldom())
    label = name(snakemake).replace("%", "%%")
    terminal.setFormatter(logging.Formatter(f"{label}: %(levelname)s %(message)s"))
    handlers = [terminal]
    if snakemake.log:
        os.makedirs(os.path.dirname(snakemake.log[0]), exist_ok=True)
        handlers.append(logging.FileHandler(snakemake.log[0], mode="w"))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=handlers
    )
    for noisy in ("matplotlib", "fontTools", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    start = time.monotonic()
    try:
        main(snakemake)
    except NormscanError as error:
        LOG.error("%s", error)
        sys.exit(1)
    except Exception:
        LOG.exception("unexpected error")
        raise
    LOG.info("done in %s", duration(time.monotonic() - start))


def name(snakemake) -> str:
    """A job's name at the terminal, where many jobs speak: ``train vae 0``."""
    wildcards = dict(snakemake.wildcards.items())
    return " ".join([snakemake.rule, *(wildcards[key] for key in TELLING if key in wildcards)])
