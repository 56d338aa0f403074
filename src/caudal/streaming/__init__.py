"""The same product, continuously: Spark hands over micro-batches, the engine does each once."""
