"""The parts that every run has, and its beginning and end."""
