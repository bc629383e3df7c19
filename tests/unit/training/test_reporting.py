"""What a training says while it runs."""

import logging

from normscan.training.reporting import EpochReport


def said(caplog, losses, validation):
    with caplog.at_level(logging.INFO, "normscan"):
        EpochReport("training, gan", 0, 8).epoch(1, losses, validation, 1)
    return caplog.records[-1].getMessage()


def test_one_loss_stands_for_its_terms(caplog):
    line = said(caplog, {"loss": 3.0, "kl": 1.0, "reconstruction": 2.0}, 0.5)
    assert "loss 3, validation 0.5, best epoch 1" in line and "kl" not in line


def test_a_phase_without_a_total_names_its_terms(caplog):
    line = said(caplog, {"wasserstein": 10.25, "critic": -9.5}, None)
    assert "epoch 1 of at most 8, critic -9.5, wasserstein 10.25, " in line
    assert "nan" not in line and "validation" not in line
