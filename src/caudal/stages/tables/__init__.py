"""Frames of rows → frames of windows; whatever a table function returns → a Spark frame."""

from caudal.stages.tables.frames import as_frame
from caudal.stages.tables.gaps import fill_gaps
from caudal.stages.tables.windows import Windows, tumble

__all__ = ["Windows", "as_frame", "fill_gaps", "tumble"]
