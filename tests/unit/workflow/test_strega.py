"""StRegA's recipes in plans: values of the paper, one leaderboard, whose code and values count."""

import pytest
import yaml
from made_studies import plan, protocol, wildcards

from normscan.evaluation.published import load_published
from normscan.workflow.fingerprint import SCRIPTS, code_fingerprint
from normscan.workflow.protocols import parse_protocol

FOLDER = SCRIPTS.parent / "protocols"
AUGMENTATION = "normscan.slices.augmentation"


def shipped(name):
    found, problems = parse_protocol(name, yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    assert problems == []
    return found


def test_values_of_the_recipe_are_those_of_the_paper():
    strega = shipped("strega")
    model = strega.models["compact_cevae"]
    names = ("network", "latent", "learning_rate", "batch_size", "max_epochs")
    values = [model.settings[name] for name in names]
    assert values == ["chatterjee2022", 256, 1e-4, 64, 70]
    drawn = model.augmentation
    assert len(drawn) == 7 and drawn["bias_field"]["coefficients"] == 0.5
    assert (drawn["affine"]["degrees"], drawn["rotation"]["degrees"]) == (35, 15)
    assert [drawn["ghosting"][one] for one in ("fewest", "most")] == [4, 10]
    assert strega.slices["size"] == 256
    assert [step.kind for step in strega.steps][-1] == "segment_tissue"
    assert strega.rules[0].label == "otsu_slice_256_0"
    assert strega.postprocessing["prior"] == "hyperintense"


def test_both_recipes_have_all_approaches_and_detect_alike():
    both = [shipped(name) for name in ("strega", "strega_baselines")]
    titles = {one.published or one.title for made in both for one in made.approaches.values()}
    assert set(load_published("chatterjee2022")["approach"]) <= titles
    assert both[0].postprocessing == both[1].postprocessing
    assert both[0].rules == both[1].rules


@pytest.mark.parametrize("other", ["strega", "original_networks", "comparative_study"])
def test_models_of_one_name_are_the_same_in_recipes_that_stand_together(other):
    one, other = shipped("strega_baselines"), shipped(other)
    for name in set(one.models) & set(other.models):
        assert one.models[name] == other.models[name]


def augmented(**augmentation):
    models = {"vae": {"family": "vae", "augmentation": augmentation}, "ae": {"family": "ae"}}
    approaches = {name: {"model": name, "detector": "reconstruction"} for name in models}
    return protocol(models=models, approaches=approaches)


def test_only_models_with_augmentation_count_its_code(tmp_path):
    made = plan(tmp_path, augmented(noise={"std": 0.1}))
    assert AUGMENTATION in made.training.training_modules("vae")
    assert made.training.training_modules("ae") == made.training.modules("ae")
    assert AUGMENTATION not in made.training.modules("vae")
    with_it, without = (
        code_fingerprint("train.py", *made.training.training_modules(name))
        for name in ("vae", "ae")
    )
    assert with_it != without
    record = made.report.run_record()["protocols"]["p0"]["recipe"]["models"]
    assert record["vae"]["augmentation"] == {"noise": {"probability": 0.5, "std": 0.1}}
    assert "augmentation" not in record["ae"]


def test_wrong_augmentation_and_rules_are_named_all_at_once():
    content = augmented(nose={}, gamma={"log_gamma": "much"})
    content["threshold_rules"] = [{"otsu": {"population": "all", "opening": -1}}]
    content["postprocessing"] = {"prior": "bright"}
    assert "postprocessing.prior" in "\n".join(parse_protocol("p", content)[1])
    del content["postprocessing"]
    found = "\n".join(parse_protocol("p", content)[1])
    for part in (
        "augmentation.nose: unknown key (did you mean 'noise'?)", "gamma.log_gamma",
        "otsu.population: found 'all'", "otsu.opening: found -1",
    ):  # fmt: skip
        assert part in found


def test_a_protocols_own_prior_stands_before_the_cohorts(tmp_path):
    content = protocol()
    made = plan(tmp_path, content, {**protocol(), "postprocessing": {"prior": "hypointense"}})
    for number, expected in ((0, "hyperintense"), (1, "hypointense")):
        w = wildcards(made, prior="hyperintense")
        w.protocol, w.variant = f"p{number}", "vae"
        assert made.scoring.applied_prior(w) == expected
