"""Readings a second through the full statistics, and the time from a reading to its statistic."""
