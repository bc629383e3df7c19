"""A bundle holds what its approach needs: its model, and the models that its detector uses."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from handed_on import run
from made_pack import write_pack
from snakemake.iocontainers import InputFiles

from normscan.files import file_digest, read_json, write_json, write_tsv
from normscan.postprocessing.histograms import ScoreHistogram, bin_edges, save_histograms
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
            fused=[],
            priors=["none"],
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


def test_volumes_are_those_of_held_out_healthy_scans(tmp_path):
    """Of the validation scans only, at every threshold, on the slice grid of the pack."""
    shape, none = (6, 6, 4), np.zeros((6, 6, 4), np.uint8)
    brain = np.ones(shape, np.uint8)
    names = ("sub-1", "sub-2", "sub-3")
    scan = {"brain": brain, "lesion": none, "image": brain.astype(float)}
    pack = write_pack(tmp_path, dict.fromkeys(names, scan), cohort="ixi")
    edge = float(bin_edges()[30000])
    maps = {name: np.where(np.arange(144) < 10 * n, 2 * edge, 0) for n, name in enumerate(names)}
    everywhere = np.ones(144, bool)
    made = {name: ScoreHistogram.of(one, ~everywhere, everywhere) for name, one in maps.items()}
    about = {"cohort": np.array("ixi"), "prior": np.array("none")}
    save_histograms(tmp_path / "histograms.npz", made, **about)
    splits = ["train", "validation", "validation"]
    write_tsv(tmp_path / "subjects.tsv", pandas.DataFrame({"scan": names, "split": splits}))
    points = {"fixed": {"threshold": edge}, "gone": {"threshold": None}}
    write_json(tmp_path / "thresholds.json", {"none": points})
    files = {"thresholds": "thresholds.json", "healthy": ["histograms.npz"]}
    files |= {"packs": [pack.name], "subjects": ["subjects.tsv"]}
    given = {
        name: [str(tmp_path / one) for one in own] if isinstance(own, list) else tmp_path / own
        for name, own in files.items()
    }
    params = {
        "approach": {"settings": {}},
        "uses": [],
        "fused": [],
        "priors": ["none"],
        "healthy_cohorts": ["ixi"],
        "ages": {},
    }
    run(
        "export_bundle.py",
        input=InputFiles(fromdict=given),
        output=[tmp_path / "bundle" / "approach.json"],
        params={**params, "fingerprint": {}, "folder": str(tmp_path / "bundle")},
        wildcards={"seed": "0"},
    )
    record = read_json(tmp_path / "bundle" / "approach.json")
    # Voxels of 2 mm.
    assert record["healthy_ml"] == {"none": {"fixed": [0.08, 0.16]}}
    assert record["trained_on"] == {"contrasts": [], "cohorts": {}} and record["format"] == 2
