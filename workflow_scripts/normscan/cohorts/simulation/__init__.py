"""The simulated demo cohort: heads made from the ICBM152 tissue maps, with lesions and truth."""
