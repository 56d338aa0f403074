"""Executors, which compute a stream: one a file, with its ``EXECUTOR``, ``MOST_BYTES``, ``SPARK``, ``connectors`` and ``engine`` (docs/kinds.md)."""
