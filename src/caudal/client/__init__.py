"""A home in Python, as ``cd.open`` gives it: tables as frames, their versions, quarantine and lineage, runs, models that predict."""
