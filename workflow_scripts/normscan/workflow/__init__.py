"""What the Snakefile needs at parse time: configuration, names and paths, code fingerprints.

Everything here imports fast (no torch, no ants, no scipy), since every cluster job parses the
Snakefile again. Nothing here knows Snakemake.
"""
