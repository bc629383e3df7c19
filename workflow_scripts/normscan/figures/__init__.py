"""Figures: one file per kind, from plain arrays and tables to a Matplotlib figure."""
