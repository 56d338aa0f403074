"""Loading a warehouse, beside other ways."""
