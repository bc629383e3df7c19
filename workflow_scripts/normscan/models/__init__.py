"""Models, one file per family: what is trained, how, and what it can do."""
