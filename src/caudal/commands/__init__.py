"""What people can ask for, one verb a file; the command line and Python callers call these."""
