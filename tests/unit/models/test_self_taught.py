"""Self-taught segmentation: what is learnt from which labels, on which network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair, tensors
from monai.losses import DiceCELoss
from monai.networks.nets.unet import UNet
from sklearn.metrics import log_loss, roc_auc_score

from check_family import Cohorts, small_settings
from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.parts.overlap import dice_losses
from normscan.networks import registry as networks
from normscan.slices.index import layer_path
from normscan.training.loop import train

SMALL = {"depth": 2, "width": 4}
FAMILIES = ["self_taught", "self_taught_mixed"]


def made(family="self_taught", **settings):
    return registry.build(family, (1, 1, 16), seed=1, **(SMALL | settings))


def with_pseudo(batch, seed=0):
    """Pseudo-labels: lesions, every other without its first row, and something beside them."""
    pseudo = batch.layers["lesion"].copy()
    pseudo[::2, 1:] &= pseudo[::2, :-1]
    pseudo[seed % 3 :: 5, 4, 4:7] = 1
    return replace(batch, layers={"pseudo": pseudo})


def both(seed=0):
    """Pseudo-labelled slices, and annotated ones beside them."""
    annotated = tensors(flair(count=8, seed=seed + 1, lesions=True))
    batch = tensors(with_pseudo(flair(count=8, seed=seed, lesions=True)))
    return replace(batch, others={"annotated": annotated})


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.3])
def test_the_loss_is_dice_and_weighted_cross_entropy(weight):
    model, batch = made(cross_entropy_weight=weight).eval(), both()
    truth = batch.layers["pseudo"] > 0
    found = model.losses(batch)
    probability = model.segment(batch.slices)
    expected = log_loss(truth.flatten(), probability.detach().double().flatten(), labels=[0, 1])
    assert found["cross_entropy"].item() == pytest.approx(expected, rel=1e-5)
    overlap = dice_losses(probability.reshape(1, -1), truth.float().reshape(1, -1))[0]
    torch.testing.assert_close(found["overlap"], overlap)
    torch.testing.assert_close(found["loss"], overlap + weight * found["cross_entropy"])
    monai = DiceCELoss(
        sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1, lambda_dice=1, lambda_ce=weight
    )
    logits = model.network(batch.slices)
    torch.testing.assert_close(found["loss"], monai(logits, truth[:, None].float()))


def test_validation_is_the_same_of_each_slice():
    model, batch = made().eval(), both()
    found = model.validation_loss("main", batch)
    for number, one in enumerate(found):
        part = torch.tensor([number])
        single = replace(
            batch,
            slices=batch.slices[part],
            layers={"pseudo": batch.layers["pseudo"][part]},
            others={},
        )
        torch.testing.assert_close(one, model.losses(single)["loss"])


def test_annotated_patients_count_by_their_true_labels():
    model, batch = made("self_taught_mixed", annotated_weight=0.4), both()
    found = model.losses(batch)
    torch.testing.assert_close(
        found["loss"], found["overlap"] + found["cross_entropy"] + 0.4 * found["annotated"]
    )
    annotated = batch.others["annotated"]
    nothing = {**annotated.layers, "lesion": torch.zeros_like(annotated.layers["lesion"])}
    other = replace(batch, others={"annotated": replace(annotated, layers=nothing)})
    assert model.losses(other)["annotated"] != found["annotated"]
    torch.testing.assert_close(model.losses(other)["overlap"], found["overlap"])


def trained(family, cohorts, network="unet"):
    """Weights after two epochs on made packs, each stream with the layers that it has."""
    layers = registry.describe(family)["stream_layers"]
    settings = small_settings(family, {"max_epochs": 2, "network": network})
    settings = {k: v for k, v in settings.items() if k not in ("max_epochs", "patience")}
    model = registry.build(family, (1, 1, cohorts.size), seed=1, **settings)
    view = {"inputs": ["FLAIR"], "targets": ["FLAIR"]}
    stores = {
        name: cohorts.store("tested" if place else "patients", **view, layers=own)
        for place, (name, own) in enumerate(layers.items())
    }
    held_out = cohorts.store("held_out_patients", **view, layers=layers["unlabelled"])
    train(model, stores.pop("unlabelled"), held_out, others=stores, seed=1, max_epochs=2)
    return model.state_dict()


@pytest.mark.parametrize("family", FAMILIES)
def test_true_labels_of_the_unlabelled_stream_are_never_read(tmp_path, family):
    cohorts = Cohorts(tmp_path)
    before = trained(family, cohorts)
    random = np.random.default_rng(0)
    for name in ("patients", "held_out_patients"):
        path = layer_path(cohorts.packs[name], "lesion")
        np.save(path, random.integers(0, 9, np.load(path).shape).astype(np.int16))
    after = trained(family, cohorts)
    assert all(torch.equal(before[name], after[name]) for name in before)
    path = layer_path(cohorts.packs["patients"], "pseudo")
    np.save(path, np.load(path)[::-1].copy())
    other = trained(family, cohorts)
    assert any(not torch.equal(before[name], other[name]) for name in before)


def test_lesions_are_found_although_labels_are_noisy():
    model = made(learning_rate=1e-2, network="monai_unet")
    taught, held_out = (HeldBatch(with_pseudo(flair(seed=n, lesions=True), n)) for n in (0, 1))
    train(model, taught, held_out, seed=1, batch_size=8, max_epochs=20, patience=20)
    scan = flair(count=8, seed=3, lesions=True)
    prepared = detectors.prepare(
        "segmentation", model, device=torch.device("cpu"), contrasts=["FLAIR"]
    )
    probability = prepared.detect(scan, 0).map
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], probability[brain]) > 0.9


# MONAI's U-Net as a network


def monai(size=16, **settings):
    return networks.load("monai_unet").make_image_to_image(2, 1, size, **(SMALL | settings))


def test_the_network_is_that_of_monai_with_a_head():
    network, images = monai(), torch.rand(2, 2, 16, 16)
    features = network.features(images)
    assert features.shape == (2, 4, 16, 16)
    torch.testing.assert_close(network(images), network.head(features))
    same = UNet(2, 2, 4, channels=[4, 8, 16], strides=[2, 2], num_res_units=2)
    same.load_state_dict(network.network.state_dict())
    torch.testing.assert_close(same(images), features)


@pytest.mark.parametrize("family", [*FAMILIES, "semi_fcn", "translation"])
def test_families_of_images_take_it(family):
    settings = {**registry.describe(family)["settings"], "network": "monai_unet"}
    assert registry.network_problems(family, settings, "models.m") == []


@pytest.mark.parametrize(
    ("size", "settings", "expected"),
    [
        (18, {}, "found 18; network monai_unet of depth 2 takes multiples of 4 from 8 on"),
        (4, {}, "found 4"),
        (16, {"depth": 0}, "depth, width: found 0, 4"),
    ],
)
def test_what_the_network_cannot_take_is_named(size, settings, expected):
    with pytest.raises(ConfigError, match=expected):
        monai(size, **settings)
