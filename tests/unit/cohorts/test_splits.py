"""Splits: seeded, by subject, and stable when subjects come and go."""

import random

import pytest

from normscan.cohorts.splits import assign_splits, subset
from normscan.errors import CohortError, ConfigError

LABELS = [f"{number:03d}" for number in range(60)]


def split(subjects, role="healthy", previous=None, seed=0, cohort="c", validation=0.2, training=0):
    return assign_splits(
        subjects,
        role,
        previous or {},
        seed=seed,
        cohort=cohort,
        validation=validation,
        training=training,
    )


def patients(subjects, previous=None, **settings):
    return split(subjects, "patients", previous, **{"validation": 3, "training": 0.5, **settings})


def count(splits, name):
    return list(splits.values()).count(name)


@pytest.mark.parametrize("role, rest", [("healthy", "train"), ("patients", "test")])
@pytest.mark.parametrize(
    "subjects, validation, expected",
    [
        (10, 0.2, 2),
        (15, 0.2, 3),
        (11, 0.2, 3),
        (10, 4, 4),
        (2, 1, 1),
        (25, 0.28, 7),
        (20, 0.99, 20),
    ],
)
def test_share_or_number_of_validation_subjects(role, rest, subjects, validation, expected):
    if expected == subjects:
        with pytest.raises(CohortError):
            split(LABELS[:subjects], role, validation=validation)
        return
    found = split(LABELS[:subjects], role, validation=validation)
    assert count(found, "validation") == expected
    assert count(found, rest) == subjects - expected


def test_unlabelled_scans_are_all_screened():
    assert set(split(LABELS, "unlabelled", validation=5).values()) == {"screen"}


def test_healthy_cohorts_always_have_a_validation_subject():
    assert count(split(LABELS[:5], validation=0), "validation") == 1


def test_patients_may_all_be_test():
    assert set(split(LABELS[:5], "patients", validation=0).values()) == {"test"}


def test_sessions_of_a_subject_are_one_subject():
    twice = [label for label in LABELS[:10] for _ in range(2)]
    assert split(twice, validation=3) == split(LABELS[:10], validation=3)


def test_the_order_of_subjects_does_not_matter():
    shuffled = random.Random(1).sample(LABELS, len(LABELS))
    assert split(shuffled) == split(LABELS)
    assert list(split(shuffled)) == shuffled


def test_seed_and_cohort_change_the_draw():
    assert split(LABELS) == split(LABELS)
    assert split(LABELS) != split(LABELS, seed=1)
    assert split(LABELS) != split(LABELS, cohort="other")


def test_every_subject_is_drawn_about_as_often():
    drawn = [split(LABELS[:10], seed=seed, validation=3) for seed in range(500)]
    for label in LABELS[:10]:
        often = sum(one[label] == "validation" for one in drawn)
        assert 105 <= often <= 195  # 150 expected; more than four standard deviations


@pytest.mark.parametrize("role", ["healthy", "patients"])
@pytest.mark.parametrize("trial", range(20))
def test_nobody_changes_sides_when_subjects_come_and_go(role, trial):
    """Fifty changes; whatever was once assigned stays, also for who leaves and comes back."""
    rng = random.Random(trial)
    present = set(rng.sample(LABELS, 30))
    stored = split(sorted(present), role, validation=0.2)
    for _ in range(50):
        moving = rng.choice(LABELS)
        present = (
            present - {moving} if moving in present and len(present) > 25 else present | {moving}
        )
        found = split(sorted(present), role, stored, validation=0.2)
        assert all(found[label] == stored[label] for label in found if label in stored)
        assert set(found) == present
        stored |= found


def test_new_subjects_fill_validation_only_below_its_target():
    stored = split(LABELS[:10], validation=3)
    more = split(LABELS[:20], previous=stored, validation=3)
    assert {more[label] for label in LABELS[10:20]} == {"train"}
    left = [label for label in LABELS[:10] if stored[label] != "validation"]
    refilled = split([*left, *LABELS[10:20]], previous=stored, validation=3)
    assert sum(refilled[label] == "validation" for label in LABELS[10:20]) == 3


def test_a_stored_split_of_another_role_is_ignored():
    stored = {label: "screen" for label in LABELS[:10]}
    assert split(LABELS[:10], previous=stored) == split(LABELS[:10])
    stored = {label: "validation" for label in LABELS[:10]}
    assert set(split(LABELS[:10], "unlabelled", stored).values()) == {"screen"}


@pytest.mark.parametrize(
    "role, subjects, validation", [("healthy", 1, 0), ("healthy", 4, 4), ("patients", 3, 3)]
)
def test_not_enough_subjects(role, subjects, validation):
    with pytest.raises(CohortError) as error:
        split(LABELS[:subjects], role, cohort="ixi", validation=validation)
    for fragment in ("cohort 'ixi'", f"{subjects} usable subject", "not enough", "'validation'"):
        assert fragment in str(error.value)


@pytest.mark.parametrize("role", ["healthy", "patients", "unlabelled"])
def test_no_subject_at_all(role):
    with pytest.raises(CohortError, match="0 usable subject"):
        split([], role, validation=0)


@pytest.mark.parametrize("gone, needed", [("train", "train"), ("validation", "validation")])
def test_a_side_that_stored_splits_left_empty(gone, needed):
    stored = split(LABELS[:10], validation=2)
    left = [label for label in stored if stored[label] != gone]
    with pytest.raises(CohortError) as error:
        split(left, previous=stored, cohort="ixi", validation=1)
    for fragment in ("cohort 'ixi'", f"no subject is left for '{needed}'", "splits.json"):
        assert fragment in str(error.value)


@pytest.mark.parametrize("validation", [-1, 2.5, 1.5])
def test_neither_share_nor_number(validation):
    with pytest.raises(ConfigError, match=f"validation: found {validation:g}"):
        split(LABELS, validation=validation)


@pytest.mark.parametrize(
    ("subjects", "validation", "training", "expected"),
    [(23, 3, 0.5, 10), (24, 3, 0.5, 11), (10, 0.2, 0.25, 2), (10, 0, 4, 4), (10, 3, 0.01, 1)],
)
def test_patients_train_by_share_of_what_validation_leaves_or_by_number(
    subjects, validation, training, expected
):
    found = patients(LABELS[:subjects], validation=validation, training=training)
    assert count(found, "train") == expected
    plain = patients(LABELS[:subjects], validation=validation, training=0)
    assert count(found, "validation") == count(plain, "validation")
    assert count(found, "test") == count(plain, "test") - expected


def test_asking_patients_to_train_moves_them_only_from_test_to_train():
    before = patients(LABELS, training=0)
    for stored in ({}, before):
        after = patients(LABELS, stored)
        moved = {(before[one], after[one]) for one in LABELS if before[one] != after[one]}
        assert moved == {("test", "train")}
    # And back when no protocol asks any more; the same are drawn when one does again.
    again = patients(LABELS, after, training=0)
    assert again == before
    assert patients(LABELS, again) == after


@pytest.mark.parametrize("trial", range(10))
def test_no_patient_changes_sides_when_patients_come_and_go(trial):
    rng = random.Random(trial)
    present = set(rng.sample(LABELS, 30))
    stored = patients(sorted(present))
    for _ in range(30):
        moving = rng.choice(LABELS)
        present = (
            present - {moving} if moving in present and len(present) > 25 else {*present, moving}
        )
        found = patients(sorted(present), stored)
        assert all(found[label] == stored[label] for label in found if label in stored)
        stored |= found


def test_new_patients_fill_training_only_below_its_number():
    stored = patients(LABELS[:20], training=5)
    assert count(patients(LABELS[:30], stored, training=5), "train") == 5
    more = patients(LABELS[:30], stored, training=8)
    assert sum(more[one] == "train" for one in LABELS[20:30]) == 3
    assert all(more[one] == stored[one] for one in LABELS[:20])


def test_only_patients_are_asked_to_train():
    assert split(LABELS, training=0.5) == split(LABELS)
    assert set(split(LABELS, "unlabelled", training=0.5).values()) == {"screen"}


def test_one_patient_is_left_to_test():
    with pytest.raises(CohortError, match="5 usable .* 3 training subject.* 'test'"):
        patients(LABELS[:5], validation=2, training=3)
    with pytest.raises(ConfigError, match="training: found 1.5"):
        patients(LABELS, training=1.5)


def test_smaller_subsets_are_contained_in_larger_ones():
    for seed in range(10):
        shares = [subset(LABELS, share, seed) for share in (0.01, 0.1, 0.5, 1)]
        assert [len(one) for one in shares] == [1, 6, 30, 60]
        for small, large in zip(shares, shares[1:], strict=False):
            assert set(small) < set(large)
        assert shares[-1] == LABELS
        assert shares[1] == sorted(shares[1])


def test_subsets_depend_on_the_seed_and_not_on_the_order():
    assert subset(LABELS[::-1], 0.5, 0) == subset(LABELS, 0.5, 0)
    assert subset(LABELS, 0.5, 0) != subset(LABELS, 0.5, 1)


def test_a_new_subject_displaces_at_most_one_of_a_subset():
    for extra in range(100, 120):
        before, after = subset(LABELS, 0.5, 0), subset([*LABELS, str(extra)], 0.5, 0)
        assert len(set(before) - set(after)) <= 1


@pytest.mark.parametrize("share", [0, -0.1, 1.01, 10])
def test_shares_are_above_zero_and_at_most_one(share):
    with pytest.raises(ConfigError, match="share of subjects: found"):
        subset(LABELS, share, 0)
