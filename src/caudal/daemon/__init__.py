"""``caudal up``: keep products up to date by events. Watchers record events; a worker runs the products that have some."""
