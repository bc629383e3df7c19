"""Words of what models are trained on, which planning and training share."""

# The stream that every protocol has, and most models are trained on.
MAIN = "main"
# Which slices of its cohorts a stream has: those with enough brain, or only those of them without
# any lesion voxel.
ALL, LESION_FREE = "all", "lesion_free"
# The layer of labels that another approach made, instead of the true ones.
PSEUDO = "pseudo"
