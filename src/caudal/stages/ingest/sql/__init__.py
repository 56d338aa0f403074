"""Extract rows of a database: connection, columns and types, extraction."""
