"""What Spark's Python workers of this machine are forked from: ``python -m caudal.spark.daemon pyspark.worker``, started by Spark.

PySpark's own daemon with three things done before the first fork, which every task pays for otherwise. Measured with ten tasks of
images: 11 % of the workers' time.
"""

from __future__ import annotations

import gc
import zipimport

import pandas  # noqa: F401 (each worker that is given Arrow data imports both; so they are imported once)
import pyarrow  # noqa: F401
from pyspark import daemon


def main() -> None:
    """Fork workers until Spark closes the input."""
    # A worker asks at each task whether modules have come, and Python then reads the lists of PySpark's own archives again, 0.1 s
    # each time. Archives do not change under a running Spark; new ones have new names.
    zipimport.zipimporter.invalidate_caches = _as_it_was  # type: ignore[assignment]
    # After each task a worker looks through all objects for rubbish; those that are there now are none.
    gc.collect()
    gc.freeze()
    daemon.manager()  # type: ignore[no-untyped-call]


def _as_it_was(_: zipimport.zipimporter) -> None:
    """Read nothing again."""


if __name__ == "__main__":
    main()
