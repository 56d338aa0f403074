"""The ledger: records of runs, steps, versions and decisions, in SQLite or PostgreSQL."""
