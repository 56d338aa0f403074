"""Stars: dimensions with their history, facts that point to what held when they happened."""
