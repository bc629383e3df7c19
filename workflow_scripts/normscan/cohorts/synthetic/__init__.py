"""Lesions for healthy scans: how they are blended in, and how they are made up."""
