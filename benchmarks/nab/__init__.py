"""The Numenta Anomaly Benchmark, by its own rules."""
