# Written by tools/stubs.py.
# ruff: noqa
# fmt: off

"""Expectations as users write them: ``ex.unique("trip_id").quarantine(max_share=0.02)``.

Every kind of ``caudal.stages.enforce`` is available under its name; each has ``.warn()``, ``.quarantine()`` and ``.stop()`` (the default).
No engine is imported. What editors and type checkers see is written by ``tools/stubs.py`` into ``expect.pyi``.
"""

from caudal.stages.enforce.between import between as between  # Return the expectation that a column's values lie from ``low`` to ``high``, both included.
from caudal.stages.enforce.distribution import distribution as distribution  # Return the expectation that a figure stays near that of the last versions (within 20 % unless declared otherw…
from caudal.stages.enforce.freshness import freshness as freshness  # Return the expectation that the newest time is at most ``within`` ago.
from caudal.stages.enforce.matches import matches as matches  # Return the expectation that a column's texts match a pattern whole.
from caudal.stages.enforce.monotone import monotone as monotone  # Return the expectation that a column never falls along ``over``, in each series of ``by``.
from caudal.stages.enforce.not_null import not_null as not_null  # Return the expectation that a column has no nulls.
from caudal.stages.enforce.one_of import one_of as one_of  # Return the expectation that a column holds only the listed values.
from caudal.stages.enforce.positive import positive as positive  # Return the expectation that a column's numbers are above zero.
from caudal.stages.enforce.refers_to import refers_to as refers_to  # Return the expectation that a column's values exist as ``key`` in another table.
from caudal.stages.enforce.row_count import row_count as row_count  # Return the expectation that from ``low`` to ``high`` rows are published.
from caudal.stages.enforce.sql import sql as sql  # Return the expectation that a Spark SQL condition holds for every row.
from caudal.stages.enforce.unique import unique as unique  # Return the expectation that the columns name one row; see `Unique` for rows that repeat a key and for nulls.

__all__ = [
    "between",
    "distribution",
    "freshness",
    "matches",
    "monotone",
    "not_null",
    "one_of",
    "positive",
    "refers_to",
    "row_count",
    "sql",
    "unique",
]
