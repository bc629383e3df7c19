"""The HTML report of a run, the pages of a screening, citation text and published numbers."""
