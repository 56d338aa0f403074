"""One product on several platforms: measured, broken on purpose, compared; and what work on Spark cost, from its event logs."""
