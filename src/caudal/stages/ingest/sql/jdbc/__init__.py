"""Rows of a database that Spark asks: the driver and its connection, columns, extraction, errors."""
