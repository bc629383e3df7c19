"""For all unit tests: one thread for each operation."""

import os

# Before torch starts. Such small tensors gain nothing from threads, and threads that wait for each
# other on a busy machine take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
