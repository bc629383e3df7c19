"""Training: one loop for all models, checkpoints that resume exactly, bundles."""
