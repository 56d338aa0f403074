"""``caudal check``: what can be known of a declaration before it runs."""
