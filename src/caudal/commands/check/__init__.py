"""``caudal check``: find the problems of a declaration before it runs."""
