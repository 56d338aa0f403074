"""``caudal verify``: is what lies in a home and its lake what was put there, and how is it mended where it is not."""
