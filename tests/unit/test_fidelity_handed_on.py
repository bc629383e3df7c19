"""From stored reconstructions to metrics and figures: the scripts of anatomical fidelity."""

from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from handed_on import WILDCARDS, run

from check_family import Cohorts, model_facts, small_settings
from normscan.detectors.base import Detection
from normscan.detectors.maps import write_maps
from normscan.evaluation.fidelity import load_example
from normscan.figures.cohort import add_fidelity, add_fidelity_example
from normscan.figures.collection import Figures
from normscan.files import read_tsv, write_tsv
from normscan.slices.index import load_index
from normscan.slices.store import SliceStore
from normscan.training.bundle import save_bundle

CLASSES = ["csf", "grey", "white"]
SINGLE = {"quality_score", "overlap_score", *(f"overlap_score_{name}" for name in CLASSES)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A segmentation of its first weights, and three approaches' maps of two test patients."""
    folder = tmp_path_factory.mktemp("fidelity")
    cohorts, family = Cohorts(folder), "anatomy_segmentation"
    facts, _ = model_facts(family, small_settings(family), folder, cohorts)
    files = {"weights": folder / "weights.safetensors", "bundle": folder / "bundle.json"}
    fingerprint = load_index(cohorts.packs["tested"]).fingerprint
    save_bundle(
        *files.values(), facts.build(1), facts,
        fingerprint=fingerprint, scans={}, seed=1, history=[],
    )  # fmt: skip
    pack = cohorts.packs["tested"]
    index, store = load_index(pack), SliceStore([pack], inputs=["FLAIR"], targets=["FLAIR"])
    kinds = {"same": lambda one: one, "empty": np.zeros_like, "none": None}
    maps = {}
    for name, change in kinds.items():
        maps[name] = folder / f"maps-{name}.json"
        slices = [store.scan(f"tested/{scan.scan}").slices for scan in index.scans]
        found = [Detection(one[:, 0], None if change is None else change(one)) for one in slices]
        facts_of_map = {"cohort": "tested", "approach": name, "contrast": "FLAIR"}
        write_maps(maps[name], facts_of_map, index, index.scans, found)
    subjects = folder / "subjects.tsv"
    table = [[scan.scan, scan.subject, "test"] for scan in index.scans]
    write_tsv(subjects, pandas.DataFrame(table, columns=["scan", "subject", "split"]))
    return SimpleNamespace(folder=folder, files=files, maps=maps, pack=pack, subjects=subjects)


def measured(made, name: str) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Scores of slices, and rows of metrics."""
    scores, rows = made.folder / f"{name}.tsv", made.folder / f"{name}-rows.tsv"
    wildcards = {**WILDCARDS, "variant": name}
    run(
        "measure_fidelity.py",
        input={**made.files, "maps": made.maps[name], "index": made.pack},
        params={"device": "cpu", "classes": CLASSES},
        wildcards=wildcards,
        output=[scores],
    )
    run(
        "evaluate_fidelity.py",
        input={"scores": [scores], "subjects": made.subjects},
        params={},
        wildcards=wildcards,
        output=[rows],
    )
    labels = {"subject": str, "scan": str}
    return read_tsv(scores), read_tsv(rows, dtype=labels)


def test_a_reconstruction_that_is_the_input_is_perfect(made):
    scores, rows = measured(made, "same")
    assert set(scores["metric"]) == SINGLE and len(scores) == 2 * 6 * len(SINGLE)
    quality = scores[scores["metric"] == "quality_score"]["value"]
    # (Reconstructions are stored in half precision.)
    np.testing.assert_allclose(quality, 0, atol=0.5)
    overlap = rows.query("level == 'subject' and metric == 'overlap_score'")["value"]
    assert len(overlap) and (overlap > 0.98).all()
    assert set(rows["approach"]) == {"p/same"} and set(rows["split"]) == {"test"}


def test_an_empty_reconstruction_has_lost_the_anatomy(made):
    scores, _ = measured(made, "empty")
    same, _ = measured(made, "same")
    worse, best = (one[one["metric"] == "overlap_score"]["value"].mean() for one in (scores, same))
    assert worse < best


def test_an_approach_without_reconstructions_has_no_rows(made):
    scores, rows = measured(made, "none")
    assert not len(scores) and not len(rows)


def test_figures_show_who_reconstructs(made):
    example = made.folder / "example.npz"
    run(
        "show_fidelity.py",
        input={
            **made.files,
            "maps": list(made.maps.values()),
            "indices": [made.pack],
            "subjects": made.subjects,
        },
        params={"device": "cpu", "classes": CLASSES, "titles": list(made.maps)},
        output=[example],
    )
    found = load_example(example)
    assert found["titles"] == ["input", "same", "empty"] and found["scan"] == "sub-0"
    np.testing.assert_allclose(found["images"][0], found["images"][1], atol=1e-2)
    assert not found["images"][2].any()
    figures = Figures(made.folder / "figures")
    tables = [measured(made, name)[1].assign(title=name) for name in ("same", "empty")]
    add_fidelity(figures, "tested", pandas.concat(tables))
    add_fidelity_example(figures, "tested", found)
    assert [one["section"] for one in figures.done] == ["Fidelity"] * 2
    add_fidelity(figures, "tested", tables[0].iloc[:0])
    assert len(figures.done) == 2
