import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

import normscan.preprocessing
from normscan.plugins import literals, plugin_names
from normscan.preprocessing.labels import step_label

FOLDER = Path(normscan.preprocessing.__file__).parent
STEPS = plugin_names(FOLDER, "SETTINGS")


def defaults(step):
    return literals(FOLDER / f"{step}.py")["SETTINGS"]


def label(step, **changes):
    return step_label(step, {**defaults(step), **changes}, defaults(step))


def test_every_step_is_found_without_importing_it():
    assert STEPS == [
        "correct_bias",
        "denoise",
        "find_body",
        "match_histogram",
        "normalise",
        "register",
        "segment_tissue",
        "strip_skull",
    ]


@pytest.mark.parametrize(
    "found, wanted",
    [
        (label("register"), "register-affine-robex"),
        (label("register", spacing=2), "register-affine-robex-2mm"),
        (label("register", spacing=2.0), "register-affine-robex-2mm"),
        (label("strip_skull"), "strip_skull-robex"),
        (label("correct_bias"), "correct_bias-n4"),
        (label("denoise"), "denoise-curvature"),
        (label("normalise"), "normalise-p98"),
        (label("normalise", method="zscore"), "normalise-zscore"),
        (label("normalise", method="median"), "normalise-median"),
        (label("match_histogram"), "match_histogram"),
        (label("segment_tissue"), "segment_tissue-image"),
    ],
)
def test_labels_are_readable(found, wanted):
    assert found == wanted


def test_other_settings_add_four_digits():
    assert re.fullmatch(r"denoise-curvature-[0-9a-f]{4}", label("denoise", iterations=7))


def test_labels_fit_into_paths():
    odd = label("match_histogram", reference="healthy/sub-01+x")
    odder = label("register", atlas="my/at+las")
    for one in (odd, odder):
        assert re.fullmatch(r"[\w.-]+", one)


VALUES = {
    "atlas": ["robex", "icbm152", "mine"],
    "transform": ["rigid", "affine", "syn"],
    "spacing": [None, 1, 1.5, 2.0000001, 2],
    "reference": ["T1w", "FLAIR", "healthy/sub-01", None],
    "scans": ["all", "not_healthy"],
    "margin": [10.0, 12.5],
    "antialias": [True, False],
    "resolution": [2.0, 3.0],
    "method": [
        "robex",
        "given",
        "atlas",
        "n4",
        "curvature",
        "percentile",
        "zscore",
        "minmax",
        "white_matter_peak",
        "median",
        "tissue_peak",
        "nyul",
    ],
    "shrink": [4, 2],
    "closing": [6.0, 0],
    "output": ["image", "layer"],
    "smoothness": [0.2, 0.1],
    "least_share": [0.02, 0.05],
    "iterations": [50, 5, 7],
    "time_step": [0.0625, 0.05],
    "percentile": [98, 99, 99.5],
    "ceiling": [None, 1.0, 1.5],
    "level": [1.0, 0.5],
}


@pytest.mark.parametrize("step", STEPS)
def test_different_settings_have_different_labels(step):
    names = list(defaults(step))
    seen = {}
    for values in itertools.product(*(VALUES[name] for name in names)):
        found = step_label(step, dict(zip(names, values)), defaults(step))
        assert seen.setdefault(found, values) == values


def test_labels_are_light_to_import():
    code = (
        "import sys; import normscan.preprocessing.labels, normscan.preprocessing.atlases; "
        "heavy = {'ants', 'SimpleITK', 'scipy', 'nibabel', 'torch', 'pandas'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    path = str(FOLDER.parents[1])
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize("step", STEPS)
def test_settings_are_the_keywords_of_run(step):
    tree = ast.parse((FOLDER / f"{step}.py").read_text())
    run = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "run")
    keywords = {one.arg for one in run.args.kwonlyargs}
    assert {"seed", *defaults(step)} <= keywords
    assert [one.arg for one in run.args.args] == ["prepared", "folder"]
