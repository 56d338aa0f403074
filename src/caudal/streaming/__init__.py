"""Continuous processing of a product's streams: executors read micro-batches, and the engine processes each once."""
