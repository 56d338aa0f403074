"""Executors, which compute micro-batches: one a file, with its ``EXECUTOR``, ``MOST_BYTES``, ``connectors`` and ``take`` (``micro_batch.py``)."""
