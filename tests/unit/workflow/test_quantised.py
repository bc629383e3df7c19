"""A VQ-VAE, its prior and restorations of codes in a protocol: sound, and refused where not."""

import re

import yaml
from made_studies import plan, protocol, wildcards

from normscan.workflow.protocols import parse_protocol
from tiny_study import REPOSITORY


def documented() -> dict:
    """Models and approaches as on the page of the model."""
    text = (REPOSITORY / "docs" / "models" / "vqvae.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.S)
    return yaml.safe_load(example)


def problems(**changes) -> str:
    return "\n".join(parse_protocol("p", protocol(**changes))[1])


def test_the_documented_example_is_sound(tmp_path):
    made = plan(tmp_path, protocol(**documented()))
    w = wildcards(made, training="ixi+oasis", model="prior")
    assert made.training.models["prior"].uses == {"coder": "vqvae"}
    assert made.training.inputs(w) == ["FLAIR"]


def test_a_prior_of_codes_needs_a_model_that_has_codes():
    example = documented()
    example["models"]["prior"] |= {"uses": {"coder": "vae"}, "inputs": ["T1w", "FLAIR"]}
    example["models"]["prior"] |= {"targets": ["T1w", "FLAIR"]}
    found = problems(**example)
    assert "models.prior.uses.coder: model 'vae' (family 'vae') cannot quantise" in found


def test_codes_are_restored_by_a_prior_only():
    example = documented()
    example["approaches"]["vqvae_code"]["model"] = "vqvae"
    assert "cannot code_likelihood" in problems(**example)
