"""Faults, one kind a file with its ``FAULT`` (docs/kinds.md)."""
