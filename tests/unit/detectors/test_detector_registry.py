"""Detectors are found and described without being imported."""

import subprocess
import sys

import pytest

from normscan.detectors import registry
from normscan.errors import ConfigError


def test_all_detectors_are_found_and_helpers_are_not():
    assert set(registry.names()) >= {"intensity", "montecarlo", "reconstruction", "restoration"}
    assert not {"base", "inference", "registry", "variation"} & set(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_description_agrees_with_the_module(name):
    module = registry.load(name)
    described = registry.describe(name)
    assert described["needs"] == module.NEEDS
    assert described["settings"] == module.SETTINGS
    assert described["signed"] is module.SIGNED
    assert callable(module.detect)


def test_describing_imports_no_torch():
    code = (
        "import sys; from normscan.detectors import registry; "
        "[registry.describe(name) for name in registry.names()]; "
        "print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    folder = registry.FOLDER.parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_unknown_detector_names_the_nearest():
    with pytest.raises(ConfigError, match="restorations.*did you mean 'restoration'"):
        registry.describe("restorations")


def test_dashes_and_underscores_are_the_same(tmp_path, monkeypatch):
    (tmp_path / "latent_search.py").write_text("NEEDS = set()\nSETTINGS = {}\nSIGNED = True\n")
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    assert registry.describe("latent-search") == registry.describe("latent_search")


def test_settings_are_completed_and_all_problems_named():
    assert registry.settings("restoration", {"tv_weight": 1.8})["steps"] == 500
    assert registry.settings("restoration", {"tv_weight": "auto"})["tv_weight"] == "auto"
    with pytest.raises(ConfigError) as error:
        registry.settings("restoration", {"step": 5, "steps": "many"}, "here")
    assert "here.step: unknown key (did you mean 'steps'?)" in str(error.value)
    assert "here.steps: found 'many'" in str(error.value)


def test_requirements_are_told():
    assert registry.requires({"elbo"}, {"elbo", "sample"}) == ""
    assert registry.requires(set(), set()) == ""
    message = registry.requires({"elbo", "sample"}, {"reconstruct"})
    assert "elbo, sample" in message and "this one can reconstruct" in message
