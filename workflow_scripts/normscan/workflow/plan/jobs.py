"""Variants of approaches, and what is run of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One (protocol, variant, seed): what detections are made for."""

    protocol: str
    variant: str
    seed: int

    def wildcards(self) -> dict[str, str | int]:
        """Its part of a path's wildcards."""
        return {"protocol": self.protocol, "variant": self.variant, "seed": self.seed}


def variant_label(approach: str, share: float) -> str:
    """An approach at a share of the training subjects: ``vae``, ``vae@10pct``."""
    return approach if share == 100 else f"{approach}@{share:g}pct"


def variant_parts(variant: str) -> tuple[str, float]:
    """The approach and the share (per cent) of a variant's label."""
    approach, _, share = variant.partition("@")
    return approach, float(share.removesuffix("pct")) if share else 100


def titled(title: str, share: float) -> str:
    """A variant's title in figures and tables: its approach's, with the share of the subjects."""
    return title if share == 100 else f"{title}, {share:g} % of subjects"
