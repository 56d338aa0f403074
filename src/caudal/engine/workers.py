"""A product's code for Spark's Python workers: functions of its file are sent by value, its neighbour modules are found in its
folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import cloudpickle

from caudal.engine.choice import is_connected

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
    if is_connected(spark):
        # The workers of a server keep their environment, and cannot import the neighbour modules either.
        for name, value in list(sys.modules.items()):
            file = getattr(value, "__file__", None)
            if sources is not None and file and Path(file).is_relative_to(root) and not name.startswith("caudal"):
                cloudpickle.register_pickle_by_value(value)  # type: ignore[no-untyped-call]
        return
    environment = spark.sparkContext.environment
    for name in ("PYTHONPATH", SOURCES):
        environment.pop(name, None)
    if sources is not None:
        environment |= {"PYTHONPATH": os.pathsep.join([str(root), *_path()]), SOURCES: sources}


def _path() -> list[str]:
    path = os.environ.get("PYTHONPATH")
    return [path] if path else []
