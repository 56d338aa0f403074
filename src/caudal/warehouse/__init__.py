"""A warehouse on PostgreSQL: tables of the lake kept there whole, brought up to date in one transaction each."""
