"""Detectors, one file each: how an anomaly map is computed with a trained model."""
