"""The figures of an audit: one a file, found by its ``METRIC``."""
