"""Where and how a job computes: device, threads, memory, determinism, precision."""
