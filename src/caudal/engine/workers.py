"""What Spark's Python workers are told of a product's code: functions of its file are sent whole, its neighbours are found in its folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOURCES = "CAUDAL_SOURCES"


def tell_workers(spark: SparkSession, module: str, root: Path, sources: str | None) -> None:
    """Let workers that are started from now on run a product's functions.

    Parameters
    ----------
    module : name of the module that the product's file is loaded as; no worker could import it
    sources : digest of the user's modules, None where there are none. Workers of other sources have imported what was there before:
        Spark keeps them apart by their environment
    """
    from pyspark import cloudpickle

    if module in sys.modules:
        cloudpickle.register_pickle_by_value(sys.modules[module])  # type: ignore[no-untyped-call]
    environment = spark.sparkContext.environment
    for name in ("PYTHONPATH", SOURCES):
        environment.pop(name, None)
    if sources is not None:
        environment |= {"PYTHONPATH": os.pathsep.join([str(root), *_path()]), SOURCES: sources}


def _path() -> list[str]:
    given = os.environ.get("PYTHONPATH")
    return [given] if given else []
