"""How files of one format are inspected and read: one format a file."""
