"""What is remembered of runs, steps, versions and decisions, in SQLite or PostgreSQL."""
