"""Two cohorts from one folder: each person in one of them."""

import pytest
import yaml
from made_studies import PROTOCOL, put_down

from normscan.errors import ConfigError
from normscan.workflow.configuration import load_study


def load(folder, one, other, **more):
    """A study of two cohorts that share a folder of twelve, every second one a patient."""
    (folder / "p.yaml").write_text(yaml.safe_dump(PROTOCOL))
    entry = put_down(folder, "clinic", "patients", 12)
    rows = [f"sub-{n:02d}\t{'ms' if n % 2 else 'control'}" for n in range(12)]
    table = "\n".join(["participant_id\tgroup", *rows])
    (folder / "clinic" / "participants.tsv").write_text(table)
    cohorts = {
        "controls": {**entry, "role": "healthy", **one},
        "ms": {**entry, "role": "patients", **more, **other},
    }
    return load_study({"protocols": ["p.yaml"], "cohorts": cohorts}, folder, folder)


def test_healthy_and_patients_of_one_folder(tmp_path):
    study = load(tmp_path, {"where": {"group": "control"}}, {"where": {"group": ["ms"]}})
    numbers = {
        name: sorted(int(scan.subject) % 2 for scan in cohort.scans)
        for name, cohort in study.cohorts.items()
    }
    assert numbers == {"controls": [0] * 6, "ms": [1] * 6}


def test_nobody_is_in_both(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {"where": {"group": "control"}}, {"include": ["00", "01", "02", "03", "05"]})
    assert "cohorts 'controls' and 'ms' share sub-00, sub-02 of" in str(error.value)
    assert "tell them apart with 'include', 'where' or 'exclude'" in str(error.value)
    with pytest.raises(ConfigError, match="share sub-00, .*, sub-08 and 1 more of"):
        load(tmp_path, {"where": {"group": "control"}}, {})


def test_another_name_of_the_folder_makes_no_other_people(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "clinic")
    with pytest.raises(ConfigError, match="share sub-00"):
        load(tmp_path, {}, {}, path="link")


@pytest.mark.parametrize("value", [True, [], ["ms", False], {"ms": 1}])
def test_values_are_texts_or_numbers(tmp_path, value):
    with pytest.raises(ConfigError, match=r"config\.cohorts\.ms\.where\.group: found .* quotes"):
        load(tmp_path, {"include": ["00"]}, {"where": {"group": value}})


def test_what_is_wrong_with_tables_is_listed_for_all_cohorts_once(tmp_path):
    for name in ("one.tsv", "other.tsv"):
        (tmp_path / name).write_text("subject\tFLAIR\nA_B\ta.nii.gz\n02\tb.nii.gz\n")
    entry = {"source": "table", "skull_stripped": True}
    cohorts = {
        "first": {**entry, "role": "healthy", "path": "one.tsv"},
        "second": {**entry, "role": "unlabelled", "path": "one.tsv", "exclude": ["02"]},
        "third": {**entry, "role": "unlabelled", "path": "other.tsv"},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**PROTOCOL, "contrasts": ["FLAIR"]}))
    with pytest.raises(ConfigError) as error:
        load_study({"protocols": ["p.yaml"], "cohorts": cohorts}, tmp_path, tmp_path)
    said = str(error.value)
    for name in ("one.tsv", "other.tsv"):
        assert said.count(f"{tmp_path / name}, line 2: subject 'A_B'") == 1
    assert "cohort 'first' has 2 problems" in said and "cohort 'third' has 2 problems" in said
