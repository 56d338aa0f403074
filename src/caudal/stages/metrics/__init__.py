"""How good predictions are: one metric a file, found by ``METRIC``; what they judge is in ``judged``."""
