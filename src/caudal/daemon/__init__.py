"""``caudal up``: products kept running by events. Watchers note what happens; a worker does something about it."""
