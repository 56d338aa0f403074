"""Messages: the log of a stream on disk, a Kafka broker for tests and trials, message formats, the live feed."""
