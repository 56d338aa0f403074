"""What the tests of expectations share: judging a frame, writing it, and reading it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from caudal.declarations.expectation import Expectation
from caudal.stages.enforce.judging import JudgingOutcome, judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Written = tuple[JudgingOutcome, pd.DataFrame]


@pytest.fixture
def audited(spark: SparkSession, tmp_path: Path) -> Callable[..., Written]:
    """Return a function that judges and writes a frame, and returns the outcome and all rows that were written, with their verdicts."""

    def write(
        frame: DataFrame, expectations: Sequence[Expectation], history: Sequence[dict[str, Any]] = (), now: float = 0.0, **more: Any
    ) -> Written:
        folder = tmp_path / "written"
        shutil.rmtree(folder, ignore_errors=True)
        judged = judge(frame, expectations, table="trips", **more)
        judged.write(folder, [more["day"]] if more.get("day") else [])
        outcome = judged.outcome(folder, history, now)
        rows = (
            spark.read.schema(judged.frame.schema).option("basePath", str(folder)).parquet(str(folder)).toPandas()
            if outcome.rows
            else pd.DataFrame()
        )
        return outcome, rows

    return write
