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
    assert described["residual"] is module.RESIDUAL
    assert callable(module.prepare)


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
    text = "NEEDS = set()\nSETTINGS = {}\nSIGNED = True\nRESIDUAL = True\n"
    (tmp_path / "latent_search.py").write_text(text)
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    assert registry.describe("latent-search") == registry.describe("latent_search")


@pytest.mark.parametrize("name", registry.names())
def test_no_detector_sees_the_labels_that_it_is_scored_by(name):
    assert "lesion" not in registry.describe(name)["layers"]
