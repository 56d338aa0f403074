"""The same windows over the same Kafka topics in other engines, each in an environment and a process of its own."""
