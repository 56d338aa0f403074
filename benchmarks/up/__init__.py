"""``caudal up`` under fire."""
