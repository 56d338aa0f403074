"""The work of steps, one kind of step a file."""
