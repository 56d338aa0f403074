"""The gates that a version must pass to be promoted: one a file, found by its class; ``evidence`` holds what they judge by."""
