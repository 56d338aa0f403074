"""A warehouse on PostgreSQL: tables of the lake are kept there whole, and each update is one transaction."""
