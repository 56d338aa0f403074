"""A package of somebody else's that adds kinds to caudal: one file each, named by ``entry_points.txt`` beside this folder."""
