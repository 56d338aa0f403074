"""Who computes a micro-batch: one executor a file, with its ``EXECUTOR``, ``MOST_BYTES``, ``connectors`` and ``take`` (``micro_batch.py``)."""
