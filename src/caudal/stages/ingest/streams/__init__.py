"""Stream sources: every kind as frames of ``_partition, _offset, payload, arrived``, replayable by offset."""

from caudal.stages.ingest.streams.frames import open_tap, stream_frame, stream_kinds

__all__ = ["open_tap", "stream_frame", "stream_kinds"]
