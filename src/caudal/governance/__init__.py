"""Governance of a product's data: lineage, catalog, retention, erasure."""
