"""Candidates that treat groups of rows alike: one a file, found by its function; products call them as ``cd.<name>``."""
