"""What every run has: its home held and opened, its product, clock and Spark, its beginning and its end."""
