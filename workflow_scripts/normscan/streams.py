"""Words of what models are trained on, which planning and training share."""

# The stream that every model has, and that validation goes by.
MAIN = "main"
# Which slices of its cohorts a stream has: those with enough brain, or only those of them without
# any lesion voxel.
ALL, LESION_FREE = "all", "lesion_free"
