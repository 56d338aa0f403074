"""Rows of a database: connection, columns and types, extraction."""
