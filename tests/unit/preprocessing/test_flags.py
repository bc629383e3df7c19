"""Flagged scans before packing: left out with the reason, or all of all cohorts named at once."""

import pytest

from normscan.errors import CohortError, NormscanError
from normscan.files import write_json
from normscan.preprocessing.flags import refuse_flagged, without_flagged

MANIFEST = {
    "cohort": "ms",
    "scans": [{"scan": "sub-1", "key": "a"}, {"scan": "sub-2", "key": "b"}],
    "excluded": [{"scan": "sub-0", "reason": "truncated"}],
}


def quality(scans: list[str], flagged: dict[str, str], cohort="ms", protocol="p") -> dict:
    reasons = [{"scan": scan, "reason": reason} for scan, reason in flagged.items()]
    about = {"cohort": cohort, "protocol": protocol, "overview": "overview.png"}
    return {**about, "scans": scans, "flagged": reasons}


def test_flagged_scans_of_the_shard_are_among_the_excluded_ones():
    said = quality(["sub-1", "sub-2", "sub-3"], {"sub-2": "scale 2.3 is above 2", "sub-3": "x"})
    found = without_flagged(MANIFEST, said)
    assert found["scans"] == MANIFEST["scans"][:1]
    own = {"scan": "sub-2", "reason": "quality control: scale 2.3 is above 2"}
    assert found["excluded"] == [*MANIFEST["excluded"], own]
    assert without_flagged(MANIFEST, quality(["sub-1", "sub-2"], {})) == MANIFEST
    assert len(MANIFEST["scans"]) == 2


def test_a_cohort_of_which_nothing_is_left_is_refused_with_all_reasons():
    said = quality(["sub-1", "sub-2"], {"sub-1": "one", "sub-2": "other"})
    with pytest.raises(CohortError) as error:
        without_flagged(MANIFEST, said)
    for part in ("flagged every scan (2)", "overview.png", "sub-1: one", "sub-2: other"):
        assert part in str(error.value)


def test_all_flagged_scans_of_all_cohorts_come_in_one_message(tmp_path):
    said = [
        quality(["sub-1", "sub-2"], {"sub-1": "cut off"}),
        quality(["sub-1", "sub-2"], {"sub-1": "cut off"}, protocol="q"),
        quality(["sub-1"], {"sub-1": "too small"}, cohort="ixi"),
        quality(["sub-9"], {}, cohort="other"),
    ]
    paths = [str(tmp_path / f"{number}.json") for number in range(4)]
    for path, one in zip(paths, said):
        write_json(path, one)
    with pytest.raises(NormscanError) as error:
        refuse_flagged(paths)
    first, *lines = str(error.value).splitlines()
    assert "flagged 2 scans; nothing was packed" in first and "on_flagged: continue" in first
    assert lines == [
        "  - cohort 'ms', protocol p, q: sub-1: cut off",
        "  - cohort 'ixi', protocol p: sub-1: too small",
    ]
    assert refuse_flagged(paths[3:]) == 1
