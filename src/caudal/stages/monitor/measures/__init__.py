"""Measures of drift, one a file."""
