"""Stream sources: every kind as frames of ``_partition, _offset, payload, arrived``, replayable by offset."""

from caudal.stages.ingest.streams.frames import batch, frame, kinds, open_tap

__all__ = ["batch", "frame", "kinds", "open_tap"]
