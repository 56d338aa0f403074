"""Messages: the log of a stream on disk, Kafka's broker for tests and trials, formats of messages, the live feed."""
