"""Detectors: one file per way to compute anomaly maps with a trained model."""
