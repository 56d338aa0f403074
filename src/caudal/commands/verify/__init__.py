"""``caudal verify``: find files and records of a home that differ from what caudal wrote, and say how to repair them."""
