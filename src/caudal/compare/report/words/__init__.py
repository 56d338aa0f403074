"""The texts of the report, a module for each language with the same keys."""
