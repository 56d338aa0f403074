"""How files are packed: one packing a file, with its ``PACKING`` (the ending), ``MAGIC`` and ``opened``; ``fault`` where its end tells that it is whole."""
