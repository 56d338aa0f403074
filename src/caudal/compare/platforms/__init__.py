"""Platforms, one kind a file with its ``PLATFORM`` (docs/kinds.md)."""
