"""The commands, one verb a file: the functions that the command line and Python callers call."""
