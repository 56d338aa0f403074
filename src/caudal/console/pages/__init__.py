"""Pages of the console: one a file, with its ``PAGE``."""
