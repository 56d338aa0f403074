"""What is known of a product's data and what is done about it: lineage, catalog, retention, erasure."""
