"""Columns are built without asking Java, for each of them, where they are built.

PySpark notes the line of the user's code at each call of a function or method that makes a column or a frame, for what Spark says of an
error. On a session with Java that takes several further questions to Java a call: some two fifths of what it costs to build a small plan.
On a session of Spark Connect no question is asked, and what caudal says of a column names the line: there it is noted.
"""

from __future__ import annotations

import pyspark.errors.utils
from pyspark.sql.utils import is_remote


def leave_out_call_sites() -> None:
    """Have PySpark note lines in this process only where that asks Java nothing."""
    pyspark.errors.utils.is_debugging_enabled = is_remote
