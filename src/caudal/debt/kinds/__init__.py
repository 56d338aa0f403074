"""The kinds of debt, one a file, each with its ``DEBT``."""
