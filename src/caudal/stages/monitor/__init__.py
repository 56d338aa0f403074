"""Monitoring: histograms per window, distances between distributions, learned thresholds, and tests that may be looked at every window."""
