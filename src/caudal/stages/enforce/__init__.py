"""What must hold for a table: one kind a file, and ``judging``, which judges a frame's rows while they are written."""

from caudal.stages.enforce.kinds import constructor, expectation_kinds

__all__ = ["constructor", "expectation_kinds"]
