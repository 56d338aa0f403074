"""Extract rows of a database by Spark's JDBC: driver and connection, columns, extraction, errors."""
