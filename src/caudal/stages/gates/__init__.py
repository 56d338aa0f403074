"""What a version must pass to be promoted: one gate a file, found by its class; what gates judge by is in ``evidence``."""
