"""Turn frames of rows into frames of windows, and the result of a table function into a Spark frame."""

from caudal.stages.tables.frames import as_frame
from caudal.stages.tables.gaps import fill_gaps
from caudal.stages.tables.windows import Windows, tumble

__all__ = ["Windows", "as_frame", "fill_gaps", "tumble"]
