"""What quality control takes, and what packing takes of it."""

from types import SimpleNamespace

from made_studies import plan, protocol, wildcards

LONGER = [{"register": {}}, {"denoise": {}}]


def test_it_needs_prepared_scans_and_no_pack(tmp_path):
    found = plan(tmp_path, protocol())
    own = SimpleNamespace(protocol="p0", cohort="ms")
    chain = found.preprocessing.chain["p0"]
    assert found.quality.manifests(own) == [f"results/preprocessed/{chain}/ms/00.json"]
    assert found.quality.slices("p0") == {"size": 32, "field_of_view": None}


def test_a_pack_goes_by_a_protocol_that_makes_it_and_uses_the_cohort(tmp_path):
    """The second protocol shares the first one's pack, the third has scans of its own."""
    first = protocol(evaluation={"cohorts": ["ms"]})
    both = [first, protocol(), protocol(preprocessing=LONGER)]
    found = plan(tmp_path, *both)
    for cohort, owner in (("ms", "p0"), ("gliomas", "p1")):
        asked = wildcards(found, "p0", cohort=cohort)
        assert found.quality.of_pack(asked) == f"results/quality/{owner}/{cohort}.json"
    asked = wildcards(found, "p2", cohort="ms")
    assert found.quality.of_pack(asked) == "results/quality/p2/ms.json"


def test_cohorts_to_screen_have_a_check_of_their_own(tmp_path):
    found = plan(tmp_path, protocol())
    assert found.quality.gate("ms") == found.quality.gate("ixi") == "results/cohorts/unflagged.json"
    assert found.quality.gate("new") == "results/cohorts/new/unflagged.json"
    assert found.quality.of_cohorts(["ms", "new"]) == [
        "results/quality/p0/ms.json",
        "results/quality/p0/new.json",
    ]


def test_ages_are_those_of_the_cohorts_that_models_are_trained_on(tmp_path):
    ages = {"ixi": [30, "n/a", 61.5], "ms": [20, 25, 90]}
    for name, values in ages.items():
        rows = [f"sub-{number:02d}\t{age}" for number, age in enumerate(values)]
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        (folder / "participants.tsv").write_text("\n".join(["participant_id\tAge", *rows]))
    found = plan(tmp_path, protocol())
    where = SimpleNamespace(protocol="p0", variant="vae", seed=0)
    assert found.screening.ages(where) == {"ixi": [30.0, 61.5]}
    assert found.screening.ages(SimpleNamespace(protocol="p0", variant="intensity", seed=0)) == {}
