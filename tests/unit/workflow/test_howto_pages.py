"""What how-to pages tell a newcomer to write works as it stands there."""

import pytest
from made_copies import blocks, copied, run

# What is brighter than the percentile is no more there.
WITH_STEP = """
import nibabel, yaml
from pathlib import Path
from tiny_study import Workflow
folder = Path("study").absolute()
folder.mkdir()
workflow = Workflow(folder)
workflow.without_models()
workflow.config["cohorts"]["ms"]["exclude"] = ["sub-03"]
steps = workflow.protocol["preprocessing"]
steps[2] = yaml.safe_load(Path("entry.yaml").read_text())["preprocessing"][2]
workflow.write()
workflow.run("--until", "clip_intensities")
def brightest(step):
    path = sorted(workflow.results.glob(f"preprocessed/*/ms/*/*{step}*FLAIR.nii.gz"))[0]
    return nibabel.load(path).get_fdata().max()
assert 0 < brightest("clipintensities") < brightest("stripskull")
"""
WITH_FIGURE = """
import pandas
from pathlib import Path
from normscan.figures.collection import Figures
from normscan.figures.operating_points import add_operating_points
rows = [
    {"level": "subject", "threshold_rule": rule, "title": title, "metric": metric, "value": 0.5}
    for rule in ("best_dice", "healthy_fpr_0.01") for title in ("AE", "VAE")
    for metric in ("recall", "precision", "dice")
]
figures = Figures(Path("drawn"))
add_operating_points(figures, "ms", pandas.DataFrame(rows))
(one,) = figures.done
assert Path(one["png"]).stat().st_size > 5000 and Path(one["svg"]).exists()
add_operating_points(figures, "ms", pandas.DataFrame(rows[:0], columns=list(rows[0])))
assert len(figures.done) == 1
from normscan.workflow.fingerprint import reached_modules
assert "normscan/figures/operating_points.py" in reached_modules("draw_figures.py")
"""
WITH_LAYOUT = """
import yaml
from pathlib import Path
from normscan.cohorts.load import load_cohort
for subject in ("P01", "P02"):
    for visit in ("visit1", "visit2"):
        for end in ("flair", "mprage", "t1", "lesions"):
            path = Path("data", subject, visit, f"{subject}_{visit}_{end}.nii.gz")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
entry = yaml.safe_load(Path("entry.yaml").read_text())["cohorts"]["mine"]
cohort, _ = load_cohort("mine", {**entry, "path": "data"}, Path("."), results=Path("results"))
assert [scan.id for scan in cohort.scans] == [
    f"sub-P0{one}_ses-{two}" for one in (1, 2) for two in (1, 2)
]
assert all(scan.images["T1w"].endswith("_t1.nii.gz") for scan in cohort.scans)
assert (cohort.role, cohort.prior, cohort.lesion_classes) == (
    "patients", "hyperintense", {"lesion": 1}
)
assert all(scan.lesion_mask for scan in cohort.scans)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("howto"))


def test_a_step(copy):
    module, script, rule = blocks("docs/new-step.md", "python")
    name = "clip_intensities"
    (copy / f"workflow_scripts/normscan/preprocessing/{name}.py").write_text(module)
    (copy / f"workflow_scripts/{name}.py").write_text(script)
    rules = copy / "rules/preprocessing.smk"
    rules.write_text(f"{rules.read_text()}\n\n{rule}")
    (copy / "entry.yaml").write_text(blocks("docs/new-step.md", "yaml")[0])
    run(copy, "-c", WITH_STEP)
    run(copy, "docs/write_reference.py")
    assert "## clip_intensities" in (copy / "docs/reference/preprocessing.md").read_text()
    files = [f"workflow_scripts/{name}.py", f"workflow_scripts/normscan/preprocessing/{name}.py"]
    run(copy, "-m", "ruff", "check", *files)
    run(copy, "-m", "ruff", "format", "--check", *files)
    run(copy, "-m", "snakefmt", "--check", "rules/preprocessing.smk")
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_allowed.py",
        "tests/unit/test_house.py", "-k", name + " or every_rule")  # fmt: skip


def test_a_figure(copy):
    module, imported, called = blocks("docs/new-figure.md", "python")
    path = copy / "workflow_scripts/normscan/figures/operating_points.py"
    path.write_text(module)
    script = copy / "workflow_scripts/draw_figures.py"
    text = script.read_text()
    for before, new in (
        ("from normscan.figures.panels import", imported),
        ("    add_residuals(figures", f"    {called}"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, new + before)
    script.write_text(text)
    run(copy, "-c", WITH_FIGURE)
    run(copy, "-m", "ruff", "check", str(path), str(script))
    run(copy, "-m", "ruff", "format", "--check", str(path), str(script))


def test_a_layout(copy):
    layout, entry = blocks("docs/new-layout.md", "yaml")
    (copy / "workflow_scripts/normscan/cohorts/layouts/my_dataset.yaml").write_text(layout)
    (copy / "entry.yaml").write_text(entry)
    run(copy, "-c", WITH_LAYOUT)
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/cohorts/test_layouts.py")
