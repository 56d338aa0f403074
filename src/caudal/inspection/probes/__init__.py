"""One probe a file: each defines ``PROBE``, and ``findings``, which yields its facts."""
