"""The kinds of parts of compiled models, one a file; found by their names (``caudal.kinds``)."""
