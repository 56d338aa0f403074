"""One file a change: ``r0001_tables.py`` has the revision ``0001``."""
