"""Inspect and read files: one module a format."""
