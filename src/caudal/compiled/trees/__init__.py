"""How the leaf of each tree is found for one row."""
