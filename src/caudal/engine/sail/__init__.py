"""Sail, a Spark Connect server in Rust without Java, and what of PySpark is equal on it."""
