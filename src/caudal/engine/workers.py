"""A product's code for Spark's Python workers: functions of its file are sent by value, its neighbour modules are found in its
folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import cloudpickle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOURCES = "CAUDAL_SOURCES"


def tell_workers(spark: SparkSession, module: str, root: Path, sources: str | None) -> None:
    """Let workers that are started from now on run a product's functions.

    Parameters
    ----------
    module : name under which the product's file is loaded; no worker could import it
    sources : digest of the user's modules, None if there are none. Workers with other sources have imported older modules:
        Spark keeps them apart by their environment
    """
    if module in sys.modules:
        cloudpickle.register_pickle_by_value(sys.modules[module])  # type: ignore[no-untyped-call]
    environment = spark.sparkContext.environment
    for name in ("PYTHONPATH", SOURCES):
        environment.pop(name, None)
    if sources is not None:
        environment |= {"PYTHONPATH": os.pathsep.join([str(root), *_path()]), SOURCES: sources}


def _path() -> list[str]:
    path = os.environ.get("PYTHONPATH")
    return [path] if path else []
