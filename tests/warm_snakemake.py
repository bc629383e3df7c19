"""Snakemake that has imported itself: each run is a fork, a second of imports cheaper.

For dry runs, of which the tests make more than a hundred. The fork reads the Snakefile, builds the
graph and prints its plan as ``python -m snakemake`` does; nothing of the workflow under test is
imported before.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path


def run(
    arguments: list[str], folder: Path, environment: dict[str, str], seconds: float = 300
) -> tuple[int, str]:
    """Exit status of Snakemake in a folder, and what it printed.

    Raises
    ------
    TimeoutError : it took longer than ``seconds``.
    """
    with tempfile.NamedTemporaryFile("r") as output:
        request = [arguments, str(folder), environment, output.name]
        return _server().ask(request, seconds), output.read()


class _Server:
    """The process that has imported Snakemake; it ends when its standard input does."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, request: list, seconds: float) -> int:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            os.killpg(self.process.pid, signal.SIGKILL)
            _server.cache_clear()
            raise TimeoutError(f"snakemake {' '.join(request[0])}: no end after {seconds:g} s")
        return int(self.process.stdout.readline())


@cache
def _server() -> _Server:
    return _Server()


def serve() -> None:
    """Fork for every request that comes in, and say how the fork ended."""
    import snakemake.cli

    import_what_every_run_does()
    assert threading.active_count() == 1, "a fork has one thread"
    for line in sys.stdin:
        arguments, folder, environment, output = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(folder, environment, output)
            sys.argv[1:] = arguments
            snakemake.cli.main(arguments)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(status, flush=True)


def import_what_every_run_does() -> None:
    """Import what Snakemake and the workflow's configuration import late."""
    import jsonschema
    import nbformat
    import requests
    import smart_open.smart_open_lib
    import snakemake.cli
    import snakemake.storage

    late = (jsonschema, nbformat, requests, smart_open, snakemake.storage)
    assert late and snakemake.cli.get_argument_parser()


def become(folder: str, environment: dict[str, str], output: str) -> None:
    """Make this process look as one that was started in a folder, with its output in a file."""
    os.chdir(folder)
    sys.path[0] = folder
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(file, 2)


if __name__ == "__main__":
    serve()
