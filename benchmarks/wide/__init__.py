"""Wide text files."""
