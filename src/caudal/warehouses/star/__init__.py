"""Stars: dimensions with their history, and facts that refer to the dimension rows valid at their time."""
