"""Slice packs: volumes as one memory-mapped array per shard, and batches from them."""
