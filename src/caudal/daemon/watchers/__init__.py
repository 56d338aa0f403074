"""What looks out for happenings: one kind a file, marked with ``@watches``."""
