"""From raw scans to comparable volumes in atlas space: one file per step."""
