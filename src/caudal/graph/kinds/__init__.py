"""The kinds of nodes, one a file: each has a ``KIND``, which `caudal.graph.registered` finds."""
