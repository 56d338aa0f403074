"""What work on Spark cost, from its event logs."""
