"""Of rows with one key, which is the first, and which repeat it.

Shuffling whole rows to bring equal keys together would cost more than writing them. So the keys are looked at beforehand: 64-bit
hashes of the key columns alone are collected and sorted, which takes a tenth of the time of the write (5 million rows: 1.4 s of
processor time; a Spark aggregation takes 5.8 s). Only rows whose hash comes twice, usually few, are then compared exactly. Where
the plan itself proves the key (it groups by it), nothing is done. A frame that is dear or not sure to give the same rows twice (it
shuffles, samples, runs Python, reads a database) is not looked at beforehand: its rows are compared in one pass.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from caudal.stages.expect.audit.content import FORMAT_ERRORS, OWN, content
from caudal.stages.expect.declared import Among
from caudal.stages.expect.unique import Unique

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import Column, DataFrame

COLLECTED_BYTES = 16 << 30  # an input up to this size has its hashes sorted in this process; a larger one, by Spark
FEW = 2_000_000  # so many repeated hashes are sent to every task; with more, all rows are compared
_SCAN = re.compile(r"(FileScan|LocalTableScan|Range|Scan OneRowRelation)\b")
_DEAR = re.compile(r"(?<!Broadcast)Exchange\b|EvalPython|MapIn|Window|Sample|Limit|ExistingRDD|\bScan\b")


def without_repeats(
    frame: DataFrame, marked: DataFrame, one: Unique, among: Among, flag: str, bad: str, *, acting: bool, twice: bool
) -> tuple[DataFrame, Column]:
    """Return the frame, with what tells that a row repeats the key of an earlier one.

    Parameters
    ----------
    frame : DataFrame as it came, to look at keys beforehand
    marked : DataFrame, the same rows with the column ``bad`` (boolean: breaks another rule)
    flag : str, name for the column that is added where some key is repeated
    acting : bool, True: repeats become ``bad`` themselves
    twice : bool, False: ``marked`` is too dear to be computed twice
    """
    from pyspark.sql import functions as F

    if proven(frame, one.keys):
        return marked, F.lit(False)
    repeated = repeated_hashes(frame, one, among) if twice and repeatable(frame) else None
    if repeated is None or len(repeated) > FEW:
        return _placed(marked, one, among, flag, bad, acting), F.col(flag)
    if len(repeated) == 0:
        return marked, F.lit(False)
    apart, hit = _split(marked, one, among, repeated, f"{flag}_key", f"{flag}_hit")
    alone = apart.where(F.col(hit).isNull()).drop(hit).withColumn(flag, F.lit(False))
    several = _placed(apart.where(F.col(hit).isNotNull()).drop(hit), one, among, flag, bad, acting)
    return alone.unionByName(several), F.col(flag)


def proven(frame: DataFrame, keys: tuple[str, ...]) -> bool:
    """Tell whether the frame's plan shows by itself that no two rows have the same key."""
    plan = getattr(frame, "_jdf", None)
    if plan is None:  # Spark Connect shows no plan
        return False
    plan = plan.queryExecution().optimizedPlan()
    names = {attribute.exprId().id(): attribute.name() for attribute in _listed(plan.output())}
    for distinct in _listed(plan.distinctKeys().toSeq()):
        if all(names.get(column.exprId().id()) in keys for column in _listed(distinct.toSeq())):
            return True
    return False


def repeatable(frame: DataFrame) -> bool:
    """Tell whether the frame can be computed twice: cheaply, and with the same rows both times."""
    plan = getattr(frame, "_jdf", None)
    if plan is None:
        return False
    execution = plan.queryExecution()
    if not execution.optimizedPlan().deterministic():
        return False
    text = _SCAN.sub("", execution.executedPlan().toString())
    return _DEAR.search(text) is None


def repeated_hashes(frame: DataFrame, one: Unique, among: Among) -> np.ndarray[Any, Any]:
    """Return the hashes that more than one row's key has, int64; none twice."""
    import numpy as np
    from pyspark.sql import functions as F

    readable = frame.where(F.col(FORMAT_ERRORS).isNull()) if FORMAT_ERRORS in frame.columns else frame
    hashes = readable.select(_hash(one, among).alias("hash")).where("hash IS NOT NULL")
    size = int(str(frame._jdf.queryExecution().optimizedPlan().stats().sizeInBytes()))
    if size > COLLECTED_BYTES:
        return np.asarray(hashes.groupBy("hash").count().where("count > 1").select("hash").toArrow().column("hash").to_numpy())
    ordered = np.sort(np.asarray(hashes.toArrow().column("hash").to_numpy()))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _split(
    marked: DataFrame, one: Unique, among: Among, repeated: np.ndarray[Any, Any], key: str, hit: str
) -> tuple[DataFrame, str]:
    """Return the frame with a column that is null where a row's hash is not repeated."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    hashes = marked.sparkSession.createDataFrame(pa.table({key: pa.array(repeated, pa.int64())})).withColumn(hit, F.lit(True))
    return marked.join(F.broadcast(hashes), _hash(one, among) == F.col(key), "left").drop(key), hit


def _placed(marked: DataFrame, one: Unique, among: Among, flag: str, bad: str, acting: bool) -> DataFrame:
    """Return the frame with ``flag`` true for every row of a key but its first."""
    from pyspark.sql import Window, functions as F

    readable = F.col(FORMAT_ERRORS).isNull() if FORMAT_ERRORS in marked.columns else F.lit(True)
    # A row that is quarantined anyway must not take the place of a good one.
    rank = F.when(~readable, 2).when(F.col(bad), 1).otherwise(0)
    line = Window.partitionBy(*_columns((*among.within, *one.keys))).orderBy(rank, *one.order(), *content(marked))
    place = f"{OWN}place"
    placed = marked.withColumn(place, F.row_number().over(line))
    placed = placed.withColumn(flag, (F.col(place) > 1) & readable & _complete(one)).drop(place)
    return placed.withColumn(bad, F.col(bad) | F.col(flag)) if acting else placed


def _hash(one: Unique, among: Among) -> Column:
    """Return a row's hash of partition and key, null where the key has a null."""
    from pyspark.sql import functions as F

    return F.when(_complete(one), F.xxhash64(*_columns((*among.within, *one.keys))))


def _complete(one: Unique) -> Column:
    from pyspark.sql import functions as F

    complete = F.lit(True)
    for column in _columns(one.keys):
        complete = complete & column.isNotNull()
    return complete


def _columns(names: tuple[str, ...]) -> list[Column]:
    from pyspark.sql import functions as F

    from caudal.spark.marks import quoted

    return [F.col(quoted(name)) for name in names]


def _listed(seq: Any) -> list[Any]:
    """Return a Scala sequence as a list."""
    return [seq.apply(place) for place in range(seq.size())]
