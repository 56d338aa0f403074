"""Packings of files: one a file, with its ``PACKING`` (the ending), ``MAGIC`` and ``open_file``; ``fault`` where a file's end shows that it is complete."""
