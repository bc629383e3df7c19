"""A bundle holds what its approach needs: its model, and the models that its detector uses."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import InputFiles

from normscan.files import file_digest, read_json, write_json
from normscan.workflow.fingerprint import SCRIPTS


@pytest.mark.parametrize("own", [True, False])
def test_used_models_lie_beside_under_their_roles(tmp_path, own):
    files = {}
    for name in ("weights", "model", "w1", "b1", "w2", "b2"):
        files[name] = str(tmp_path / name)
        description = {
            "inputs": ["FLAIR"],
            "targets": ["FLAIR"],
            "scans": {"train": {f"{name}/x": {}}},
        }
        text = name if name[0] == "w" else json.dumps(description)
        (tmp_path / name).write_text(text)
    files["thresholds"] = str(tmp_path / "thresholds.json")
    write_json(files["thresholds"], {"none": {}})
    given = {key: files[key] for key in ("thresholds", *(("weights", "model") * own))}
    given["used_weights"] = [files["w1"], files["w2"]]
    given["used_bundles"] = [files["b1"], files["b2"]]
    folder = tmp_path / "bundle"
    snakemake = SimpleNamespace(
        rule="export_bundle",
        log=[],
        input=InputFiles(fromdict=given),
        output=[str(folder / "approach.json")],
        wildcards=SimpleNamespace(seed="3", items=dict),
        params=SimpleNamespace(
            approach={"settings": {}},
            uses=["teacher", "other"],
            healthy_cohorts=[],
            ages={"b1": [30.0, 40.0]},
            fingerprint={},
            folder=str(folder),
        ),
    )
    runpy.run_path(str(SCRIPTS / "export_bundle.py"), {"snakemake": snakemake})
    expected = {
        "uses/teacher/weights.safetensors": files["w1"],
        "uses/teacher/bundle.json": files["b1"],
        "uses/other/weights.safetensors": files["w2"],
        "uses/other/bundle.json": files["b2"],
    }
    if own:
        expected |= {"weights.safetensors": files["weights"], "bundle.json": files["model"]}
    record = read_json(folder / "approach.json")
    assert record["files"] == {name: file_digest(folder / name) for name in expected}
    for name, source in expected.items():
        assert (folder / name).read_bytes() == Path(source).read_bytes()
    assert record["healthy_ml"] == {}, "no scan is healthy"
    cohorts = record["trained_on"]["cohorts"]
    assert set(cohorts) == {"b1", "b2", *(["model"] * own)}
    assert cohorts["b1"] == {"train": 1, "validation": 0, "ages": [30.0, 40.0]}
