"""Changes of a study that has run: of its settings, its code, its scans.

Each is a function of a :class:`tiny_study.Workflow` that says in ``files`` which files it writes,
so that :func:`kept` can put them back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

Change = Callable[["object"], None]


@contextmanager
def kept(*paths: Path) -> Iterator[None]:
    """Put files back as they were, times included; folders that come with new ones go with them."""
    before = {path: (path.read_bytes(), path.stat()) for path in paths if path.exists()}
    folders = {folder for path in paths for folder in path.parents if not folder.exists()}
    try:
        yield
    finally:
        for path in paths:
            if path in before:
                content, status = before[path]
                path.write_bytes(content)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            else:
                path.unlink(missing_ok=True)
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):
                folder.rmdir()


def config(edit: Callable[[dict], None]) -> Change:
    """A change of config.yaml."""

    def change(workflow) -> None:
        path = workflow.folder / "config.yaml"
        content = yaml.safe_load(path.read_text())
        edit(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    change.files = ["config.yaml"]
    return change


def protocol(edit: Callable[[dict], None]) -> Change:
    """A change of the protocol."""

    def change(workflow) -> None:
        path = workflow.folder / "protocols" / "tiny.yaml"
        content = yaml.safe_load(path.read_text())
        edit(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    change.files = ["protocols/tiny.yaml"]
    return change


def code(file: str, addition: str) -> Change:
    """Text appended to a file of the workflow."""

    def change(workflow) -> None:
        path = workflow.folder / file
        path.write_text(path.read_text() + addition)

    change.files = [file]
    return change


def docstring(file: str) -> Change:
    """Another first line of a module's docstring."""

    def change(workflow) -> None:
        path = workflow.folder / file
        text = path.read_text()
        assert text.startswith('"""')
        path.write_text(text.replace('"""', '"""Otherwise put: ', 1))

    change.files = [file]
    return change


def replaced(file: str) -> Change:
    """A scan replaced by another image on the same grid."""

    def change(workflow) -> None:
        import nibabel

        path = workflow.folder / file
        image = nibabel.load(path)
        data = image.get_fdata() * 0.9
        nibabel.save(nibabel.Nifti1Image(data.astype("float32"), image.affine), path)

    change.files = [file]
    return change


def patient_added(workflow) -> None:
    """A fourth patient; the cohort keeps its two shards."""
    workflow.add_patient("04")


ADDED = "data/ms/{}sub-04/anat/sub-04_{}.nii.gz"
patient_added.files = [
    *(ADDED.format("", contrast) for contrast in ("T1w", "T2w", "FLAIR")),
    *(
        ADDED.format("derivatives/truth/", name)
        for name in ("desc-brain_mask", "label-lesion_dseg")
    ),
]


def touched(*files: str) -> Change:
    """Files with a new modification time."""

    def change(workflow) -> None:
        for file in files:
            (workflow.folder / file).touch()

    change.files = list(files)
    return change


def more_patients(config: dict, prior: str) -> dict:
    """Another cohort of patients, in two shards."""
    healthy = config["cohorts"]["healthy"]
    simulation = {**healthy["simulation"], "lesion": "stroke"}
    return {**healthy, "role": "patients", "validation": 0, "prior": prior} | {
        "simulation": simulation
    }


def trained_on_patients(workflow) -> None:
    """A second protocol, whose models see lesion-free slices of the patients that are evaluated."""
    content = yaml.safe_load((workflow.folder / "protocols/tiny.yaml").read_text())
    main = {"cohorts": ["ms"], "slices": "lesion_free"}
    content["training"] = {"streams": {"main": main}}
    (workflow.folder / "protocols/second.yaml").write_text(yaml.safe_dump(content))
    # The second protocol has no bundles yet.
    screening = {"approaches": ["tiny/ae"]}
    config(lambda c: c.update(protocols=["tiny", "second"], screening=screening))(workflow)


trained_on_patients.files = ["config.yaml", "protocols/second.yaml"]


def both(first: Change, second: Change) -> Change:
    """Two changes at once."""

    def change(workflow) -> None:
        first(workflow)
        second(workflow)

    change.files = list(dict.fromkeys([*first.files, *second.files]))
    return change
