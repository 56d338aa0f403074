"""Fairness: figures of groups of rows, made of counts of the test rows; no row is kept."""
