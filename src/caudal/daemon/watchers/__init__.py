"""The watchers: one kind of event a file, marked with ``@watches``."""
