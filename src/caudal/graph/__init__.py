"""Declarations → a checked graph, drawn and fingerprinted. No engine is needed."""
