"""Which scans exist, whether they are sound, and how their subjects are split."""
