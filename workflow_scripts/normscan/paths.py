"""Which paths the workflow can work with: Snakemake gives some characters a meaning of its own."""

from __future__ import annotations

import re

# What people call protocols, models, approaches, cohorts: folders, and wildcards of rules.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NAME_IN_WORDS = "only letters, digits and . _ - are allowed"
# Wildcards and path variables of rules.
RESERVED = "{}<>"


def path_problem(path: str) -> str:
    """What in a path cannot be, and what to do; empty when nothing is.

    Reserved characters would be taken for wildcards, control characters break lists of files.
    """
    found = next((one for one in path if one in RESERVED or not one.isprintable()), "")
    return f"{found!r} cannot stand in a path; rename it" if found else ""
