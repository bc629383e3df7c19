"""Tables: what was written comes back."""

import pandas

from normscan.files import read_tsv, write_tsv


def test_only_what_was_missing_is_missing(tmp_path):
    path = tmp_path / "table.tsv"
    table = pandas.DataFrame({"subject": ["NA", "null", None, "01"], "value": [1.5, None, 2, 3]})
    write_tsv(path, table)
    found = read_tsv(path, dtype={"subject": str})
    assert found["subject"].tolist()[:2] == ["NA", "null"]
    assert found["subject"].isna().tolist() == [False, False, True, False]
    assert found["value"].isna().tolist() == [False, True, False, False]
    assert found["value"].sum() == 6.5
