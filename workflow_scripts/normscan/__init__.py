"""normscan: unsupervised detection of abnormal structures in brain MRI.

The library knows nothing of Snakemake. Rooms (sub-packages) import only from rooms before them:
cohorts, preprocessing, slices, networks, models, training, detectors, postprocessing, evaluation,
figures, report. The modules beside them (errors, files, progress) are the ground all stand on.
"""

__version__ = "0.1.0"
