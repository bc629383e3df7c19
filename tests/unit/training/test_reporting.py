"""What a training says while it runs."""

import logging

from normscan.training.reporting import EpochReport


def said(caplog, losses, validation, done=1, limit=8, **unit):
    with caplog.at_level(logging.INFO, "normscan"):
        report = EpochReport("training, gan", 0, limit, **unit)
        report.epoch(done, losses, validation, 1)
    return caplog.records[-1].getMessage()


def test_one_loss_stands_for_its_terms(caplog):
    line = said(caplog, {"loss": 3.0, "kl": 1.0, "reconstruction": 2.0}, 0.5)
    assert "loss 3, validation 0.5, best epoch 1" in line and "kl" not in line


def test_a_phase_without_a_total_names_its_terms(caplog):
    line = said(caplog, {"wasserstein": 10.25, "critic": -9.5}, None)
    assert "epoch 1 of at most 8, critic -9.5, wasserstein 10.25, " in line
    assert "nan" not in line and "validation" not in line


def test_a_phase_that_is_limited_by_steps_counts_them(caplog):
    line = said(caplog, {"critic": -9.5}, None, done=236, limit=20000, unit="step")
    assert "training, gan: step 236 of at most 20000, critic -9.5, " in line
