"""Cohorts of DICOM series: whose they are, which is which contrast, what is wrong with them."""
