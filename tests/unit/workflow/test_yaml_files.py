"""Files that people write: errors with their lines, keys that stand twice."""

import pytest

from normscan.errors import ConfigError
from normscan.workflow.yaml_files import read_yaml


def written(folder, text):
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_values_anchors_and_merges_are_yamls_own(tmp_path):
    text = "a: &a {x: 1, y: [1, {z: 2}]}\nb: {<<: *a, x: 3}\nc: {<<: [*a, {w: 1}]}\n"
    text += "1: one\n'1': text\n"
    found = read_yaml(written(tmp_path, text))
    assert found["b"] == {"x": 3, "y": [1, {"z": 2}]}
    assert found["c"]["w"] == 1 and (found[1], found["1"]) == ("one", "text")
    assert read_yaml(written(tmp_path, "")) is None


def test_keys_that_stand_twice_are_named_with_their_lines(tmp_path):
    text = "a: 1\nb:\n  - c: 1\n    d: 2\n    c: 3\na: 2\n"
    with pytest.raises(ConfigError) as raised:
        read_yaml(written(tmp_path, text))
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert "mine.yaml: line 5: 'c' stands here a second time (first in line 3)" in lines[0]
    assert "line 6: 'a' stands here a second time (first in line 1)" in lines[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "line 3"),
        ("a: 1\n\tb: 2\n", "line 2"),
        (b"a: \xff\xfe\n", "not valid YAML"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said) as raised:
        read_yaml(written(tmp_path, text))
    assert "mine.yaml" in str(raised.value) and "\n" not in str(raised.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml: cannot be read"):
        read_yaml(tmp_path / "nowhere.yaml")


def test_aliases_that_contain_themselves_end(tmp_path):
    assert read_yaml(written(tmp_path, "a: &a [*a]\n"))
