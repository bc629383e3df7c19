"""Parts of neural networks, and what torch must be told about this machine."""
