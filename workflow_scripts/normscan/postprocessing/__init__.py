"""From anomaly maps to detections."""
